"""Scores of the test images, where the truth of these is known: from the data, or a solution beside the sample."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import accuracy_score, f1_score

from jaxlab.core.types import FileWarning, Samples
from jaxlab.experiment import Experiment
from jaxlab.losses import CrossEntropy
from jaxlab.objectives import resolved
from jaxlab.runs.scored import confused, record_of, rows_of
from jaxlab.runs.scored import test_scores as scores_of_test
from submit import Predictions

RNG = np.random.default_rng(5)
IDS = np.array([f"t{k}" for k in range(12)])


def run_of(loss, names, values, sample=None, **truth):
    """What scoring asks of a run, with these predictions of 12 test images."""
    experiment = Experiment() if loss is None else Experiment(loss=loss)
    goals = experiment.goals
    (objective,) = resolved(goals, dict.fromkeys(goals, tuple(names)))
    samples = Samples(ids=IDS, read=None, checksum=None, **truth)
    predictions = Predictions(IDS, values, np.array(list(names)), objective.written, "test", {})
    asked: list[str] = []
    member = SimpleNamespace(checkpoint=lambda which: SimpleNamespace(meta=lambda: {"digest": "d"}))
    return SimpleNamespace(
        test=(samples, sample),
        primary=objective,
        predicts=None,
        kind=objective.kind,
        members=[member],
        subjects=(),
        predict_split=lambda split, which: asked.append(which) or predictions,
        recorded=lambda: {"best": {"validation": {"pearson": float("nan")}}, "last": {}},
        breakdowns=lambda which: iter(()),
        asked=asked,
    )


def test_numbers_with_a_solution_are_matched_by_id(tmp_path):
    values, truth = RNG.normal(size=(2, 12, 2)).astype(np.float32)
    pd.DataFrame(truth, index=pd.Index(IDS, name="id"), columns=["a", "b"])[::-1].to_csv(
        tmp_path / "solution.csv"
    )
    run = run_of(None, "ab", values, tmp_path / "sample_submission.csv")
    found = scores_of_test(run, "last", partial(run.predict_split, "test"))
    each = [pearsonr(values[:, k], truth[:, k])[0] for k in range(2)]
    assert found["pearson"] == pytest.approx(np.mean(each), rel=1e-5)
    record = record_of(run)
    assert record["scores"]["best"]["test"] == record["scores"]["last"]["test"] == pytest.approx(found)
    assert record["scores"]["best"]["validation"]["pearson"] is None
    assert record_of(run, record) is record
    run.recorded = lambda: {
        "best": {"validation": {"pearson": 0.5}},
        "last": {"validation": {"pearson": 0.4}},
    }
    validated = record_of(run, record)  # by a watcher, since
    assert validated["scores"]["last"]["validation"] == {"pearson": 0.4}
    (tmp_path / "solution.csv").write_text("id,a,b\nother,1,2\n")
    with pytest.warns(FileWarning, match="solution.csv is not what is predicted"):
        assert scores_of_test(run, "last", partial(run.predict_split, "test")) == {}


@pytest.mark.parametrize("known", ["data", "solution"])
def test_classes_have_scores_each(tmp_path, known):
    names, logits = ["no", "perhaps", "yes"], RNG.normal(size=(12, 3)).astype(np.float32)
    label = np.arange(12, dtype=np.int32) % 3
    pd.DataFrame({"id": IDS, "label": np.array(names)[label]}).to_csv(tmp_path / "solution.csv", index=False)
    given = {"label": label} if known == "data" else {}
    run = run_of(CrossEntropy(), names, logits, tmp_path / "sample_submission.csv", **given)
    record = record_of(run)
    assert run.asked == ["last"], (
        "the best checkpoint is the same, and its classes are of the same predictions"
    )
    assert record["scores"]["last"]["test"]["accuracy"] == pytest.approx(
        accuracy_score(label, logits.argmax(1))
    )
    f1 = f1_score(label, logits.argmax(1), average=None, zero_division=0)
    each = {
        row.of_class: row.value
        for row in rows_of("seed0", record)
        if (row.split, row.score) == ("test", "f1")
    }
    assert each == pytest.approx(dict(zip(names, f1, strict=True)))
    counts, shown = confused([record, record], names)["test"]
    assert shown == names
    assert counts.sum() == 24
    assert counts.diagonal().sum() == 2 * (logits.argmax(1) == label).sum()
