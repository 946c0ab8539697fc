"""docs/api.md is what the docstrings say now, and its worked lines work."""

import sys
from pathlib import Path

import numpy as np
import pytest

import submit

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
import api_docs


def test_the_page_is_current():
    assert api_docs.PAGE.read_text() == api_docs.page(), "run `python tools/api_docs.py`"


def test_no_worked_line_is_left_over():
    assert api_docs.EXAMPLES.keys() == api_docs.names().keys()


@pytest.mark.parametrize("name", [name for name in api_docs.EXAMPLES if name.startswith("submit")])
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
        "logits": submit.Predictions(ids, pred, targets, kind="logits"),
    }  # fmt: skip
    exec(api_docs.EXAMPLES[name], given)
