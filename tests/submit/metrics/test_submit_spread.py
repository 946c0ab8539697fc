"""Scores of distributions against scipy's."""

import numpy as np
import pytest
from scipy.stats import ks_2samp, tstd

from submit import SubmissionError, blocks
from submit.metrics import ks_distance, noise_normalised, spread_ratio


def sides(n=57, targets=9, seed=0):
    """Of other means and widths, and of whole numbers, which are tied within a side and between the two."""
    rng = np.random.default_rng(seed)
    pred = rng.normal(rng.normal(0, 1, targets), rng.uniform(0.2, 3, targets), (n, targets))
    truth = rng.standard_normal((n, targets))
    pred[:, 4:6], truth[:, 4:6] = np.rint(pred[:, 4:6]), np.rint(truth[:, 4:6])
    pred[:, 6] = 0.3
    truth[:, 7] = pred[:, 7]
    pred[:, 8] += 50
    return pred, truth


@pytest.mark.parametrize("n", [1, 2, 57])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
def test_the_distance_is_ks_2samps(n, dtype):
    pred, truth = (side.astype(dtype) for side in sides(n))
    expected = [ks_2samp(x, y).statistic for x, y in zip(pred.T, truth.T, strict=True)]
    np.testing.assert_allclose(ks_distance(pred, truth), expected, rtol=1e-12, atol=1e-15)


def test_it_is_the_same_in_blocks_and_in_any_unit(monkeypatch):
    pred, truth = sides()
    expected = ks_distance(pred, truth)
    monkeypatch.setattr(blocks, "CELLS", 150)  # two targets at a time
    np.testing.assert_array_equal(ks_distance(pred, truth), expected)
    np.testing.assert_array_equal(ks_distance(pred * 2.0**-90, truth * 2.0**-90), expected)
    np.testing.assert_array_equal(ks_distance(truth, pred), expected)


def test_what_is_not_finite_has_no_distance():
    pred, truth = sides()
    pred[3, 0], truth[4, 1] = np.nan, np.inf
    assert np.isnan(ks_distance(pred, truth)).nonzero()[0].tolist() == [0, 1]
    assert np.isnan(spread_ratio(pred, truth)).nonzero()[0].tolist() == [0, 1]


def test_the_spread_is_a_ratio_of_deviations():
    pred, truth = sides()
    truth[:, 2] = 1.5
    ratio = np.divide(tstd(pred), np.where(np.arange(9) == 2, np.nan, tstd(truth)))
    ratio[6] = 0
    np.testing.assert_allclose(spread_ratio(pred, truth), ratio, rtol=1e-12)
    np.testing.assert_allclose(spread_ratio(pred, truth, "drop"), np.delete(ratio, 2), rtol=1e-12)


def test_the_best_prediction_of_a_noisy_response_is_spread_as_its_signal():
    rng = np.random.default_rng(1)
    signal = rng.normal(size=(20_000, 3))
    noise = np.array([0.5, 1.0, 2.0])
    ratio = spread_ratio(signal, signal + noise * rng.normal(size=signal.shape))
    np.testing.assert_allclose(noise_normalised(ratio, 1 / (1 + noise**2)), 1, atol=0.03)


def test_other_shapes_and_no_sample_are_refused():
    for pred, truth in (((3, 2), (2, 2)), ((0, 2), (0, 2)), ((3,), (3,))):
        with pytest.raises(SubmissionError, match="expected predictions and truth of one shape"):
            ks_distance(np.zeros(pred), np.zeros(truth))
