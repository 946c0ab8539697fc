"""Calibration by hand, and temperatures against scipy's minimiser of scikit-learn's log loss."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.metrics import log_loss as sklearns

from submit import SubmissionError, blocks
from submit.metrics import calibration
from submit.metrics.calibration import (
    calibration_error,
    cross_fitted,
    log_loss,
    reliability,
    temperature,
)


def drawn(n=400, classes=5, overconfident=3.0, seed=0):
    """Logits that are `overconfident` times those by which the truth was drawn."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, classes))
    truth = (softmax(logits, 1).cumsum(1) < rng.random((n, 1))).sum(1)
    return overconfident * logits, truth


def test_the_error_of_a_table_worked_by_hand():
    """Confidences 0.9, 0.9, 0.7, 0.6 of which the first, third and fourth are right, in five bins of 0.2."""
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.3, 0.7], [0.6, 0.4]])
    truth = np.array([0, 1, 1, 0])
    # (0.8, 1]: accuracy 1/2, confidence 0.9; (0.6, 0.8]: 1, 0.7; (0.4, 0.6]: 1, 0.6
    expected = 2 / 4 * 0.4 + 1 / 4 * 0.3 + 1 / 4 * 0.4
    assert calibration_error(p, truth, bins=5) == pytest.approx(expected)
    assert reliability(p, truth, bins=5).samples.tolist() == [0, 0, 1, 1, 2]


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_the_error_is_guos_formula_bin_by_bin(bins):
    logits, truth = drawn(300)
    p = softmax(logits, 1)
    confidence, right = p.max(1), p.argmax(1) == truth
    expected = 0.0
    for low, high in zip(np.linspace(0, 1, bins + 1)[:-1], np.linspace(0, 1, bins + 1)[1:], strict=True):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert calibration_error(p, truth, bins) == pytest.approx(expected, rel=1e-12)


def test_a_class_that_is_none_of_these_is_wrong_and_has_no_loss():
    p, truth = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([-1, 1])
    assert calibration_error(p, truth) == pytest.approx(0.5 * 0.9 + 0.5 * 0.2)
    assert log_loss(np.log(p), truth) == pytest.approx(-np.log(0.8))
    assert np.isnan(log_loss(p, np.array([-1, -1])))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_temperature_is_that_of_scipys_minimiser(dtype, monkeypatch):
    monkeypatch.setattr(blocks, "CELLS", 70)
    monkeypatch.setattr(calibration, "CELLS", 70)  # fourteen rows at a time
    logits, truth = drawn()
    logits = logits.astype(dtype)

    def loss(t):
        return sklearns(truth, softmax(logits.astype(np.float64) / t, 1), labels=range(5))

    best = minimize_scalar(loss, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-9}).x
    assert temperature(logits, truth) == pytest.approx(best, rel=1e-4)
    assert log_loss(logits, truth) == pytest.approx(loss(1), rel=1e-6)
    np.testing.assert_allclose(
        calibration.softmax(logits, 2.0), softmax(logits.astype(np.float64) / 2, 1), rtol=1e-5
    )


def test_it_finds_by_how_much_logits_are_overconfident():
    logits, truth = drawn(20_000, overconfident=3.0)
    assert temperature(logits, truth) == pytest.approx(3, rel=0.05)
    assert (
        calibration_error(softmax(logits / 3, 1), truth)
        < 0.015
        < 0.1
        < calibration_error(softmax(logits, 1), truth)
    )


def test_each_part_has_the_temperature_of_the_others():
    logits, truth = drawn(103)
    cooled, temperatures = cross_fitted(logits, truth)
    for k in range(5):
        others = np.arange(103) % 5 != k
        assert temperatures[k] == pytest.approx(temperature(logits[others], truth[others]))
        np.testing.assert_allclose(cooled[~others], logits[~others] / temperatures[k])
    few, each = cross_fitted(logits[:3], truth[:3])
    assert (few.shape, each.shape) == ((3, 5), (3,))


def test_temperatures_have_ends():
    logits, truth = np.array([[2.0, 0], [0, 2]]), np.array([0, 1])
    assert temperature(logits, truth) == pytest.approx(0.01)  # all are right
    assert temperature(logits, truth[::-1]) == pytest.approx(100)  # chance would be better
    assert temperature(0 * logits, truth) == 1
    assert temperature(logits, np.array([-1, -1])) == 1


def test_what_is_not_possible_is_refused():
    logits, truth = drawn(6)
    faults = {
        "rows of 0 or more that add up to 1": lambda: calibration_error(logits, truth),
        "found a lowest value of 0.5 and rows of 2.5": lambda: calibration_error(np.full((6, 5), 0.5), truth),
        "bins: expected 1 or more; found 0": lambda: calibration_error(softmax(logits, 1), truth, 0),
        r"found float64 \(6, 5\), \(5,\)": lambda: temperature(logits, truth[1:]),
        "class numbers from 0 to 4": lambda: temperature(logits, truth + 9),
        "1 samples have scores that are not finite": lambda: temperature(
            np.where(np.arange(6)[:, None] == 2, np.nan, logits), truth
        ),
        "expected two or more; found 1": lambda: cross_fitted(logits[:1], truth[:1]),
    }
    for words, call in faults.items():
        with pytest.raises(SubmissionError, match=words):
            call()
