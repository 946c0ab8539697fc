"""The vectorised bootstrap against a loop over draws that scores resampled rows with scipy and scikit-learn."""

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import explained_variance_score, r2_score

from submit import SubmissionError, blocks, bootstrap, metrics
from submit.metrics.repeats import FEVE, NOISE_CORRECTED_R2, SINGLE_TRIAL, TO_AVERAGE
from submit.metrics.summed import EXPLAINED_VARIANCE, PEARSON, R2

DRAWS = 20


def data(n: int = 40, t: int = 6, offset: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(n, t)) + offset
    return 0.7 * truth + rng.normal(size=(n, t)) + 0.5, truth


def rows(n: int) -> list[np.ndarray]:
    """The samples of each draw, as often as they are in it."""
    weights = np.concatenate(list(bootstrap.weights(n, DRAWS)))
    return [np.repeat(np.arange(n), weight.astype(int)) for weight in weights]


def pearsons(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.array([pearsonr(*columns).statistic for columns in zip(x.T, y.T, strict=True)])


def variances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return explained_variance_score(y, x, multioutput="raw_values")


@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize(
    ("score", "loop"),
    [
        (PEARSON, pearsons),
        (EXPLAINED_VARIANCE, variances),
        (R2, lambda x, y: r2_score(y, x, multioutput="raw_values")),
    ],
)
def test_scores_of_draws_are_those_of_the_resampled_rows(score, loop, offset):
    x, y = data(offset=offset)
    found = np.concatenate([part["it"] for part in bootstrap.per_target({"it": score}, x, y, draws=DRAWS)])
    np.testing.assert_allclose(found, [loop(x[k], y[k]) for k in rows(len(x))], rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    ("score", "reference"),
    [
        (NOISE_CORRECTED_R2, metrics.noise_corrected_r2),
        (FEVE, lambda x, y: metrics.feve(x, y, least=-np.inf)),
        (SINGLE_TRIAL, metrics.single_trial_correlation),
        (TO_AVERAGE, metrics.correlation_to_average),
    ],
)
def test_scores_of_presentations_too(score, reference):
    x, y = data()
    repeats = y[:, None] + np.random.default_rng(1).normal(size=(40, 3, 6))
    repeats[::4, 1:] = np.nan
    found = np.concatenate(
        [part["it"] for part in bootstrap.per_target({"it": score}, x, repeats, draws=DRAWS)]
    )
    np.testing.assert_allclose(found, [reference(x[k], repeats[k]) for k in rows(40)], rtol=1e-9)


@pytest.mark.parametrize(("score", "loop"), [("pearson", pearsons), ("explained_variance", variances)])
def test_a_medians_interval_holds_the_percentiles_of_the_draws(score, loop):
    x, y = data()
    found = bootstrap.interval(x, y, score, "median", draws=DRAWS)
    scale, back = {
        "pearson": (np.arctanh, np.tanh),
        "explained_variance": (lambda v: -np.log(1 - v), lambda z: 1 - np.exp(-z)),
    }[score]
    drawn = scale(np.array([np.median(loop(x[k], y[k])) for k in rows(len(x))]))
    low, high = back(
        without_bias(drawn, scale(np.array([np.median(loop(x[k], y[k])) for k in halfway(len(x))])))
    )
    assert found.value == pytest.approx(np.median(loop(x, y)), rel=1e-9)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)


def halfway(n: int) -> list[np.ndarray]:
    """Every sample once, and those of each of the first draws again: weights halfway to 1, times 2."""
    return [np.concatenate([np.arange(n), k]) for k in rows(n)[: DRAWS // 5]]


def without_bias(drawn: np.ndarray, half: np.ndarray) -> np.ndarray:
    """A draw has four times the bias that half of it has: twice their difference, less a third of it, is the whole."""
    centre = drawn[: len(half)].mean()
    bias = (centre - half.mean()) * 4 / 3
    score = half.mean() - bias / 4  # of all samples, smoothly
    return np.percentile(drawn, [2.5, 97.5]) - centre + score - bias


def test_a_medians_difference_is_of_the_same_draws():
    x, y = data()
    other = x + 0.3 * np.random.default_rng(2).normal(size=x.shape)
    drawn, half = (
        np.array([np.median(pearsons(x[k], y[k])) - np.median(pearsons(other[k], y[k])) for k in some])
        for some in (rows(len(x)), halfway(len(x)))
    )
    found = bootstrap.difference(x, other, y, aggregate="median", draws=DRAWS)
    assert (found.low, found.high) == pytest.approx(tuple(without_bias(drawn, half)), rel=1e-9)


def test_draws_do_not_depend_on_how_many_are_made_at_a_time(monkeypatch):
    pair = data()
    kinds = [(score, over) for score in ("pearson", "explained_variance") for over in ("mean", "median")]
    whole = [bootstrap.interval(*pair, *kind, draws=DRAWS) for kind in kinds]
    monkeypatch.setattr(bootstrap, "_CELLS", 120)  # three draws
    monkeypatch.setattr(blocks, "CELLS", 80)  # two targets
    again = [bootstrap.interval(*pair, *kind, draws=DRAWS) for kind in kinds]
    for one, other in zip(whole, again, strict=True):
        assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))


def test_a_target_that_a_draw_makes_constant_counts_nothing():
    """A neuron that fired for one image is silent in the draws without it, where 3.3 rounds to no constant."""
    x, y = data(n=12, t=2)
    y[:, 1] = 3.3
    y[4, 1] = 4.1
    found = np.concatenate([part["r"] for part in bootstrap.per_target({"r": PEARSON}, x, y, draws=DRAWS)])
    without = [4 not in sample for sample in rows(12)]
    assert 0 < sum(without) < DRAWS
    assert (found[:, 1] == 0).tolist() == without
    y[0, 0] = np.nan
    found = np.concatenate([part["r"] for part in bootstrap.per_target({"r": PEARSON}, x, y, draws=DRAWS)])
    assert not found[:, 0].any()


def test_a_wrong_name_and_no_draw_are_refused():
    with pytest.raises(SubmissionError, match="draws: expected 1 or more; found 0"):
        bootstrap.interval(*data(), draws=0)
    with pytest.raises(SubmissionError, match="found mean of spearman"):
        bootstrap.interval(*data(), score="spearman")
    with pytest.raises(SubmissionError, match="found mode of pearson"):
        bootstrap.interval(*data(), aggregate="mode")
