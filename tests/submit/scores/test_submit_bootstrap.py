"""The vectorised bootstrap against a loop over draws that scores resampled rows with scipy and scikit-learn."""

import numpy as np
import pytest
from scipy.stats import bootstrap as scipys
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


@pytest.mark.parametrize("aggregate", ["mean", "median"])
@pytest.mark.parametrize(("score", "loop"), [("pearson", pearsons), ("explained_variance", variances)])
def test_an_interval_holds_the_percentiles_of_the_draws(score, loop, aggregate):
    x, y = data()
    over = {"mean": np.mean, "median": np.median}[aggregate]
    drawn = [over(loop(x[k], y[k])) for k in rows(len(x))]
    found = bootstrap.interval(x, y, score, aggregate, draws=DRAWS)
    assert found.value == pytest.approx(over(loop(x, y)), rel=1e-9)
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])), rel=1e-9)


def test_a_difference_is_of_the_same_draws():
    x, y = data()
    other = x + 0.3 * np.random.default_rng(2).normal(size=x.shape)
    drawn = [pearsons(x[k], y[k]).mean() - pearsons(other[k], y[k]).mean() for k in rows(len(x))]
    found = bootstrap.difference(x, other, y, draws=DRAWS)
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])), rel=1e-9)
    alone = bootstrap.interval(x, y, draws=DRAWS)
    assert found.high - found.low < alone.high - alone.low


def test_accuracy_has_scipys_interval():
    """Two percentile bootstraps of 4,000 other draws each; tolerance: four standard errors of such a percentile."""
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 3, 200)
    pred = np.where(rng.random(200) < 0.6, truth, 0)
    found = bootstrap.interval(pred, truth, "accuracy", draws=4000)
    right = (pred == truth).astype(float)
    theirs = scipys((right,), np.mean, n_resamples=4000, method="percentile", rng=rng).confidence_interval
    assert found.value == right.mean()
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.007)


def test_draws_do_not_depend_on_how_many_are_made_at_a_time(monkeypatch):
    pair = data()
    whole = bootstrap.interval(*pair, draws=DRAWS)
    monkeypatch.setattr(bootstrap, "_CELLS", 120)  # three draws
    monkeypatch.setattr(blocks, "CELLS", 80)  # two targets
    again = bootstrap.interval(*pair, draws=DRAWS)
    assert (again.value, again.low, again.high) == pytest.approx((whole.value, whole.low, whole.high))


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
