"""Confusion matrix, precision, recall and F1 against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from submit import SubmissionError, metrics
from submit.metrics.vqa import vqa_accuracy


def data(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes by name; `never` is not predicted, `nowhere` is not there."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(["ant", "bee", "cat", "never"], 80)
    pred = np.where(rng.random(80) < 0.5, truth, rng.choice(["ant", "bee", "cat", "nowhere"], 80))
    return np.where(pred == "never", "ant", pred), truth


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("average", [None, "macro", "micro"])
def test_rates_are_scikit_learns(seed, average):
    pred, truth = data(seed)
    theirs = precision_recall_fscore_support(truth, pred, average=average, zero_division=0)[:3]
    for ours, expected in zip(metrics.precision_recall_f1(pred, truth, average), theirs, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-14)


def test_rates_of_many_classes_need_no_matrix_of_them():
    names = np.arange(100_000)  # a matrix of them would take 80 GB
    precision, _, f1 = metrics.precision_recall_f1(np.roll(names, 1), names, "macro")
    assert precision == f1 == 0


def test_the_confusion_matrix_is_scikit_learns():
    pred, truth = data(0)
    matrix, classes = metrics.confusion_matrix(pred, truth)
    assert classes.tolist() == ["ant", "bee", "cat", "never", "nowhere"]
    np.testing.assert_array_equal(matrix, confusion_matrix(truth, pred))
    some = np.array(["never", "ant", "bee"])
    np.testing.assert_array_equal(
        metrics.confusion_matrix(pred, truth, some)[0], confusion_matrix(truth, pred, labels=some)
    )


def test_by_hand():
    pred, truth = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1])
    precision, recall, f1 = metrics.precision_recall_f1(pred, truth)
    assert (precision.tolist(), recall.tolist()) == ([0.5, 1, 0], [1, 1 / 3, 0])
    np.testing.assert_allclose(f1, [2 / 3, 1 / 2, 0])
    assert metrics.precision_recall_f1(pred, truth, "micro") == (0.5, 0.5, 0.5)


def test_an_unknown_average_and_other_shapes_are_refused():
    with pytest.raises(SubmissionError, match="expected None, 'macro' or 'micro'; found 'weighted'"):
        metrics.precision_recall_f1(np.array([0]), np.array([0]), "weighted")
    with pytest.raises(SubmissionError, match=r"found shapes \(2,\), \(1,\)"):
        metrics.confusion_matrix(np.array([0, 1]), np.array([0]))


def test_vqa_accuracy_is_among_the_metrics():
    assert metrics.vqa_accuracy is vqa_accuracy
