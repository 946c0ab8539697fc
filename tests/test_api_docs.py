"""docs/api.md is what the docstrings say now, and its worked lines work."""

import sys
from pathlib import Path

import numpy as np
import pytest

import submit

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
import api_docs

FORMATS = ("algonauts", "algonauts2021", "vqa_results", "sensorium")  # which need a challenge's own files
LINES = [
    name for name in api_docs.EXAMPLES if name.startswith("submit") and name.split(".")[1] not in FORMATS
]


def test_the_page_is_current():
    assert api_docs.PAGE.read_text() == api_docs.page(), "run `python tools/api_docs.py`"


def test_no_worked_line_is_left_over():
    assert api_docs.EXAMPLES.keys() == api_docs.names().keys()


def test_a_signature_is_what_is_called():
    assert api_docs.signature(submit.Labels.load.__func__) == "load(path: str | Path) -> 'Labels'"
    assert api_docs.signature(submit.ensemble.Combination.by_target) == "by_target() -> np.ndarray"


def learning(rng, targets):
    """Validation predictions, and the truth that they are to match."""
    ids, truth = np.array([f"v{k}" for k in range(40)]), rng.normal(size=(40, 3))
    noise = {"truth_of": 0.0, "validation": 0.5, "noisy": 1.0}
    return {
        name: submit.Predictions(
            ids, truth + scale * rng.normal(size=truth.shape), targets, split="validation"
        )
        for name, scale in noise.items()
    }


@pytest.mark.parametrize("name", LINES)
def test_a_worked_line_works(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    pred, truth = rng.normal(size=(2, 2, 3))
    ids, targets = np.array(["a", "b"]), np.array(["n0", "n1", "n2"])
    predictions, solution = (submit.Predictions(ids, values, targets) for values in (pred, truth))
    predictions.save("predictions.npz")
    for file in ("solution.csv", "sample_submission.csv"):
        submit.write(solution, file)
    np.save("ceiling.npy", np.array([0.5, 0.6, 0.7]))
    given = {
        "np": np, "submit": submit, "pred": pred, "truth": truth, "ceiling": np.load("ceiling.npy"),
        "predictions": predictions, "others": solution, "solution": solution,
        "repeats": rng.normal(size=(6, 4, 3)), "labels": submit.Labels(ids, np.array(["n0", "n1"])),
        "third": solution, "simulated": rng.normal(size=(6, 3)),
        "lh_scores": np.array([30.0, 40]), "rh_scores": np.array([35.0]),
        **learning(rng, targets),
        "logits": submit.Predictions(ids, pred, targets, kind="logits"),
    }  # fmt: skip
    exec(api_docs.EXAMPLES[name], given)
