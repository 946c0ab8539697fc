"""Intervals of means cover the true score; by simulation, and against a loop over left out samples with scipy.

The kind: a bias of the score, small for a target, that does not average out over many, and intervals of few samples.
"""

from itertools import product

import numpy as np
import pytest
from scipy.stats import binomtest, pearsonr
from scipy.stats import t as student
from sklearn.metrics import explained_variance_score

from submit import SubmissionError, blocks, bootstrap
from submit.scores.interval import Counted
from submit.scores.jackknife import parts


def data(n: int, t: int, r: float = 0.5, seed: int = 0, shared: float = 0.0) -> tuple[np.ndarray, ...]:
    """Two predictions, whose true correlations with the truth are r and r - 0.1, and the truth."""
    rng = np.random.default_rng(seed)
    truth = np.sqrt(1 - shared) * rng.normal(size=(n, t)) + np.sqrt(shared) * rng.normal(size=(n, 1))
    noise, other = rng.normal(size=(2, n, t))
    both = [
        q * truth + np.sqrt(1 - q * q) * (noise + k * other) / np.hypot(1, k)
        for k, q in enumerate((r, r - 0.1))
    ]
    return *both, truth


def by_hand(whole: float, left: np.ndarray) -> tuple[float, float]:
    """Quenouille's and Tukey's jackknife; the bias is taken for b / (n - 2)."""
    n = len(left)
    centre = whole + (n - 3) * (whole - left.mean())
    half = student.ppf(0.975, n - 1) * np.sqrt((n - 1) / n * ((left - left.mean()) ** 2).sum())
    return centre - half, centre + half


def mean_r(x: np.ndarray, y: np.ndarray) -> float:
    return np.mean([pearsonr(*columns).statistic for columns in zip(x.T, y.T, strict=True)])


def test_a_mean_correlation_is_jackknifed_on_fishers_scale():
    x, other, y = data(30, 5)
    found = bootstrap.interval(x, y)
    left = [mean_r(np.delete(x, k, 0), np.delete(y, k, 0)) for k in range(30)]
    low, high = np.tanh(by_hand(np.arctanh(mean_r(x, y)), np.arctanh(left)))
    assert (found.value, found.low, found.high) == pytest.approx((mean_r(x, y), low, high), rel=1e-9)
    found = bootstrap.difference(x, other, y)
    of_other = [mean_r(np.delete(other, k, 0), np.delete(y, k, 0)) for k in range(30)]
    expected = by_hand(mean_r(x, y) - mean_r(other, y), np.array(left) - of_other)
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-9)
    assert found.high - found.low < high - low  # paired


def test_explained_variance_on_the_scale_of_its_ratio():
    x, _, y = data(30, 5)
    left = [explained_variance_score(np.delete(y, k, 0), np.delete(x, k, 0)) for k in range(30)]
    low, high = by_hand(-np.log(1 - explained_variance_score(y, x)), -np.log(1 - np.array(left)))
    found = bootstrap.interval(x, y, "explained_variance")
    assert (found.low, found.high) == pytest.approx((1 - np.exp(-low), 1 - np.exp(-high)), rel=1e-9)


def test_more_than_1000_samples_are_left_out_in_parts(monkeypatch):
    """Of equal parts, the textbook's delete-d jackknife; of unequal ones nearly so."""
    assert sorted(set(parts(1003)[1].tolist())) == [4, 5]
    x, _, y = data(2000, 3)
    found = bootstrap.interval(x, y)
    part, sizes = parts(2000)
    assert sizes.tolist() == [8] * 250
    left = np.arctanh([mean_r(x[part != k], y[part != k]) for k in range(250)])
    whole = np.arctanh(mean_r(x, y))
    centre = whole + 249 * (whole - left.mean()) * 1997 / 1999
    half = student.ppf(0.975, 249) * np.sqrt(249 / 250 * ((left - left.mean()) ** 2).sum())
    assert (found.low, found.high) == pytest.approx(
        (np.tanh(centre - half), np.tanh(centre + half)), rel=1e-9
    )
    uneven = bootstrap.interval(x[:1003], y[:1003])
    monkeypatch.setattr("submit.scores.jackknife._MOST", 1003)
    single = bootstrap.interval(x[:1003], y[:1003])
    assert (uneven.low, uneven.high) == pytest.approx((single.low, single.high), abs=0.006)


@pytest.mark.parametrize(
    ("n", "t", "r", "shared", "times"),
    [(10, 1, 0.5, 0, 600), (10, 20, 0.5, 0, 400), (30, 20, 0.9, 0, 400), (50, 200, 0.5, 0, 200), (100, 1, 0.0, 0, 600),
     (50, 500, 0.5, 0, 150), (30, 20, 0.5, 0.5, 400), (1000, 1, 0.5, 0, 300)],
)  # fmt: skip
def test_a_means_interval_covers_the_true_correlation(n, t, r, shared, times):
    """95 of 100 times, within three standard errors of so many trials; a bootstrap's percentiles 78 times."""
    held = np.zeros(2)
    for seed in range(times):
        x, other, y = data(n, t, r, seed, shared)
        one, gain = bootstrap.interval(x, y), bootstrap.difference(x, other, y)
        held += one.low <= r <= one.high, gain.low <= 0.1 <= gain.high
    assert np.abs(held / times - 0.95).max() <= 0.01 + 3 * np.sqrt(0.95 * 0.05 / times)


@pytest.mark.parametrize(
    ("n", "t", "r", "times"), [(10, 5, 0.5, 300), (30, 20, 0.5, 200), (30, 200, 0.9, 60), (50, 200, 0.5, 20)]
)
def test_a_medians_interval_covers_the_true_correlation(n, t, r, times):
    """The uncorrected percentiles do so 61 of 100 times for 30 x 200 at r = 0.9."""
    held = 0
    for seed in range(times):
        x, _, y = data(n, t, r, seed)
        one = bootstrap.interval(x, y, aggregate="median", draws=200)
        held += one.low <= r <= one.high
    assert abs(held / times - 0.955) <= 0.02 + 3 * np.sqrt(0.95 * 0.05 / times)


@pytest.mark.parametrize(("right", "n"), [(0, 10), (7, 10), (10, 10), (130, 200)])
def test_an_accuracy_has_wilsons_interval(right, n):
    truth = np.zeros(n, int)
    pred = np.where(np.arange(n) < right, 0, 1)
    found = bootstrap.interval(pred, truth, "accuracy")
    expected = binomtest(right, n).proportion_ci(method="wilson")
    assert (found.value, found.low, found.high) == pytest.approx((right / n, expected.low, expected.high))


def test_a_difference_of_accuracies_by_hand():
    """Agresti & Min: of 20 samples 6 are right by the first alone and 1 by the second: (6.5 - 1.5) / 22, and so on."""
    first, second = np.zeros(20, bool), np.zeros(20, bool)
    first[:6], second[6], first[7:9], second[7:9] = True, True, True, True
    found = Counted(first).minus(Counted(second))
    half = 1.959964 * np.sqrt(8 - 25 / 22) / 22
    assert (found.value, found.low, found.high) == pytest.approx(
        (0.25, 5 / 22 - half, 5 / 22 + half), rel=1e-6
    )
    same = Counted(first).minus(Counted(first))
    assert same.low < same.value == 0 < same.high


def test_what_cannot_be_known():
    for n, over in product((1, 2, 3), ("mean", "median")):
        x, other, y = data(n, 4)
        found = bootstrap.interval(x, y, aggregate=over)
        assert np.isfinite(found.value)
        differ = bootstrap.difference(x, other, y, aggregate=over)
        assert np.isnan([found.low, found.high, differ.low, differ.high]).all()
    x, _, y = data(20, 3)
    assert bootstrap.interval(y, y) == bootstrap.Interval(1, 1, 1)
    assert bootstrap.difference(x, x, y) == bootstrap.Interval(0, 0, 0)
    silent = np.zeros((20, 3))
    assert bootstrap.interval(x, silent) == bootstrap.Interval(0, 0, 0)
    y[1:, 0] = 0.3  # a neuron that fired once: without that sample it has no score
    found = bootstrap.interval(x, y)
    assert found.low < found.value < found.high
    with pytest.raises(SubmissionError, match="draws: expected 1 or more"):
        bootstrap.interval(x, y, draws=0)


def test_a_block_of_targets_at_a_time(monkeypatch):
    x, _, y = data(12, 5)
    whole = bootstrap.interval(x, y)
    monkeypatch.setattr(blocks, "CELLS", 24)
    again = bootstrap.interval(x, y)
    assert (again.low, again.high) == pytest.approx((whole.low, whole.high))
