"""Streamed accuracies against scikit-learn and submit.metrics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, precision_recall_fscore_support, top_k_accuracy_score

from jaxlab.metrics import ClassificationSums
from submit import metrics as reference

RATES = [f"{rate}_{average}" for average in ("macro", "micro") for rate in ("precision", "recall", "f1")]


def streamed(logits: np.ndarray, label: np.ndarray, batch: int = 16) -> dict[str, float]:
    sums = ClassificationSums.start(logits.shape[1])
    for first in range(0, len(logits), batch):
        rows = np.minimum(np.arange(first, first + batch), len(logits) - 1)
        mask = np.arange(first, first + batch) < len(logits)
        loss = np.where(mask, 2.0, np.nan).astype(np.float32)
        with jax.debug_nans(False):
            given = [jnp.asarray(array) for array in (logits[rows], label[rows], loss, mask)]
        sums = sums.add(*given)
    return sums.compute()


def data(classes: int, n: int = 150) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(classes)
    label = rng.integers(0, classes, n).astype(np.int32)
    label[:classes] = np.arange(classes)  # scikit-learn wants to see each class
    return (rng.normal(size=(n, classes)) + 1.5 * np.eye(classes)[label]).astype(np.float32), label


@pytest.mark.parametrize(("classes", "k"), [(12, 5), (6, 5), (4, 3), (3, 2)])
def test_accuracies_are_scikit_learns_and_submits(classes, k):
    logits, label = data(classes)
    found = streamed(logits, label)
    assert set(found) == {"loss", "accuracy", f"top_{k}_accuracy", *RATES}
    assert found["accuracy"] == pytest.approx(accuracy_score(label, logits.argmax(1)))
    assert found[f"top_{k}_accuracy"] == pytest.approx(top_k_accuracy_score(label, logits, k=k))
    assert found["accuracy"] == pytest.approx(reference.accuracy(logits.argmax(1), label))
    assert found[f"top_{k}_accuracy"] == pytest.approx(reference.top_k_accuracy(logits, label, k))
    assert found["loss"] == pytest.approx(2.0)


def test_two_classes_have_an_accuracy_alone():
    logits, label = data(2)
    found = streamed(logits, label)
    assert set(found) == {"loss", "accuracy", *RATES}
    assert found["accuracy"] == pytest.approx(accuracy_score(label, logits.argmax(1)))


@pytest.mark.parametrize("average", ["macro", "micro"])
@pytest.mark.parametrize("never", ["predicted", "there", "either"])
def test_precision_recall_and_f1_are_scikit_learns_and_submits(average, never):
    """Also where class 3 is never predicted, not there, or neither."""
    logits, label = data(6)
    if never != "there":
        logits[:, 3] = -10
    if never != "predicted":
        label = np.where(label == 3, 2, label)
    found = streamed(logits, label)
    theirs = precision_recall_fscore_support(label, logits.argmax(1), average=average, zero_division=0)[:3]
    ours = reference.precision_recall_f1(logits.argmax(1), label, average)
    for rate, expected, submits in zip(("precision", "recall", "f1"), theirs, ours, strict=True):
        assert found[f"{rate}_{average}"] == pytest.approx(expected)
        assert submits == pytest.approx(expected, rel=1e-14)


def test_a_class_that_is_none_of_these_is_wrong_whatever_is_predicted():
    logits = np.eye(8, dtype=np.float32)
    label = np.array([0, 1, 2, 3, 4, 5, -1, -1], np.int32)  # -1 must not stand for the last class
    found = streamed(logits, label)
    assert found["accuracy"] == found["top_5_accuracy"] == 6 / 8
    right = np.array([1, 1, 1, 1, 1, 1, 0, 0], np.float32)  # of the eight, all are predicted, six are there
    assert found["recall_macro"] == found["precision_macro"] == right.mean()
    assert found["precision_micro"] == 6 / 8
    assert found["recall_micro"] == 1


@pytest.mark.parametrize("broken", ["all", "truth", "another"])
def test_logits_that_are_not_a_number_score_nothing(nans_allowed, broken):
    logits, label = data(4)
    rows = np.arange(len(label))
    if broken == "all":
        logits[:] = np.nan
    else:
        logits[rows, label] = 10.0
        logits[rows, (label + (broken == "another")) % 4] = np.nan
    assert streamed(logits, label)["accuracy"] == 0


def test_equal_logits_score_nothing():
    _, label = data(4)
    found = streamed(np.zeros((len(label), 4), np.float32), label)
    assert found["accuracy"] == found["top_3_accuracy"] == 0
