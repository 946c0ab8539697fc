"""Streamed scores against scipy and scikit-learn, and against submit.metrics."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import explained_variance_score, mean_squared_error

from jaxlab.evaluate.scores import scores_of
from jaxlab.metrics import RegressionSums
from submit import metrics as reference

add = jax.jit(lambda sums, *batch: sums.add(*batch))


def streamed(x: np.ndarray, y: np.ndarray, batch: int = 16, padding: float = np.nan) -> RegressionSums:
    """Sums over batches of one size, the last filled up with masked rows of `padding`."""
    sums = RegressionSums.start(x.shape[1])
    for start in range(0, len(x), batch):
        short = max(start + batch - len(x), 0)
        loss = np.full((len(x), 1), start, np.float32)
        full = [
            np.pad(a[start : start + batch], ((0, short), (0, 0)), constant_values=padding)
            for a in (x, y, loss)
        ]
        sums = add(sums, full[0], full[1], full[2][:, 0], np.arange(batch) < batch - short)
    return jax.device_get(sums)


def data(n: int = 87, targets: int = 6, offset: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(n, targets))
    x = 0.3 * y + rng.normal(size=(n, targets)) + 0.5
    return (x + offset).astype(np.float32), (y + offset).astype(np.float32)


def widths(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(t,) the standard deviation of x over that of y."""
    return x.std(0, dtype=np.float64) / y.std(0, dtype=np.float64)


@pytest.mark.parametrize("offset", [0.0, -30.0, 1e4])
def test_scores_are_scipys_and_scikit_learns(offset):
    """At 1e4 float32 itself resolves 1e-3 of a standard deviation of 1; the sums add nothing to that."""
    x, y = data(offset=offset)
    found = streamed(x, y).per_target()
    x, y = x.astype(np.float64), y.astype(np.float64)
    r = [pearsonr(x[:, k], y[:, k]).statistic for k in range(x.shape[1])]
    variance = explained_variance_score(y, x, multioutput="raw_values")
    np.testing.assert_allclose(found["pearson"], r, atol=1e-6)
    np.testing.assert_allclose(found["explained_variance"], variance, atol=1e-5)
    np.testing.assert_allclose(found["mse"], mean_squared_error(y, x, multioutput="raw_values"), rtol=1e-5)
    np.testing.assert_allclose(found["spread_ratio"], widths(x, y), rtol=1e-5)


@pytest.mark.parametrize("batch", [1, 7, 29, 87, 128])
def test_scores_do_not_depend_on_the_batch_size(batch):
    x, y = data()
    for name, values in streamed(x, y, batch).per_target().items():
        np.testing.assert_allclose(values, streamed(x, y, 16).per_target()[name], atol=2e-6, err_msg=name)


def test_means_over_targets_and_the_mean_loss():
    x, y = data()
    found = streamed(x, y).compute()
    each = streamed(x, y).per_target()
    r = np.array([pearsonr(x[:, k], y[:, k]).statistic for k in range(x.shape[1])])
    assert found["pearson"] == pytest.approx(r.mean(), abs=1e-6)
    assert found["pearson_median"] == pytest.approx(np.median(r), abs=1e-6)
    assert found["mse"] == pytest.approx(each["mse"].mean())
    assert found["spread_ratio"] == pytest.approx(widths(x, y).mean(), rel=1e-5)
    assert found["spread_ratio_median"] == pytest.approx(np.median(widths(x, y)), rel=1e-5)
    losses = np.arange(len(x)) // 16 * 16  # each sample's loss was its batch's start
    assert found["loss"] == pytest.approx(losses.mean(), rel=1e-6)
    assert found["constant_targets"] == 0


def test_noise_normalised_skips_targets_without_a_ceiling():
    x, y = data(targets=3)
    r = np.array([pearsonr(x[:, k], y[:, k]).statistic for k in range(3)])
    found = streamed(x, y).compute(np.array([0.64, 0.0, 0.25]))
    assert found["noise_normalised"] == pytest.approx((r[0] / 0.8 + r[2] / 0.5) / 2, abs=1e-6)
    assert "noise_normalised" not in streamed(x, y).compute(np.zeros(3))


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1234.567])
@pytest.mark.parametrize("side", ["truth", "prediction"])
def test_a_constant_target_or_prediction_counts_as_zero_and_is_counted(value, side):
    """Values whose float32 means are rounded, in batches of 7: what is left must not look like a signal."""
    x, y = data(targets=4)
    (y if side == "truth" else x)[:, 1] = value
    sums = streamed(x, y, batch=7)
    found, each = sums.compute(), sums.per_target()
    others = [pearsonr(x[:, k], y[:, k]).statistic for k in (0, 2, 3)]
    assert found["constant_targets"] == 1
    assert np.isnan(each["pearson"][1])
    assert found["pearson"] == pytest.approx(sum(others) / 4, abs=1e-6)
    if side == "truth":
        assert np.isnan(each["explained_variance"][1])
    spread = widths(x[:, [0, 2, 3]], y[:, [0, 2, 3]])
    expected = spread if side == "truth" else [*spread, 0]  # a constant prediction is spread by nothing
    assert found["spread_ratio"] == pytest.approx(np.mean(expected), rel=1e-5)


def test_a_prediction_that_is_not_finite_spoils_its_own_target_alone(nans_allowed):
    x, y = data(targets=3)
    x[5, 1] = np.nan
    with jax.debug_nans(False):
        found = streamed(x, y).compute()
    kept = [pearsonr(x[:, k], y[:, k]).statistic for k in (0, 2)]
    assert found["constant_targets"] == 1
    assert found["pearson"] == pytest.approx(sum(kept) / 3, abs=1e-6)


def test_wholly_masked_batches_add_nothing():
    x, y = data(n=32)
    sums, empty = streamed(x, y), np.full((16, 6), np.nan, np.float32)
    after = add(sums, empty, empty, empty[:, 0], np.zeros(16, bool))
    first = add(RegressionSums.start(6), empty, empty, empty[:, 0], np.zeros(16, bool))
    for old, new in zip(jax.tree.leaves(sums), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(old, new)
    for old, new in zip(jax.tree.leaves(RegressionSums.start(6)), jax.tree.leaves(first), strict=True):
        np.testing.assert_array_equal(old, new)


def test_sums_over_four_devices_equal_those_of_one():
    x, y = map(jnp.asarray, data(n=24))
    mask = jnp.arange(24) < 17  # the last device holds only padding
    loss = jnp.ones(24)
    one = RegressionSums.start(6).add(x, y, loss, mask)
    rows = lambda a: a.reshape(4, 6, *a.shape[1:])  # noqa: E731
    several = jax.pmap(lambda *batch: RegressionSums.start(6).add(*batch, axis_name="d"), "d", out_axes=None)(
        rows(x), rows(y), rows(loss), rows(mask)
    )
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(several), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_same_scores_as_submit():
    x, y = data(targets=8, offset=3.0, seed=1)
    y[:, 2], x[:, 5] = 4.0, 1.5
    sums = streamed(x, y)
    each, found = sums.per_target(), sums.compute()
    np.testing.assert_allclose(each["pearson"], reference.pearson(x, y, "nan"), atol=1e-6)
    np.testing.assert_allclose(each["mse"], reference.mse(x, y), rtol=1e-5)
    assert found["pearson"] == pytest.approx(reference.pearson(x, y).mean(), abs=1e-6)
    assert found["explained_variance"] == pytest.approx(reference.explained_variance(x, y).mean(), abs=1e-5)
    assert found["constant_targets"] == reference.undefined(x, y).sum() == 2
    np.testing.assert_allclose(each["spread_ratio"], reference.spread_ratio(x, y), rtol=1e-5, atol=1e-7)
    ceiling = np.linspace(0, 1, 8)
    expected = reference.noise_normalised(reference.pearson(x, y), ceiling).mean()
    assert sums.compute(ceiling)["noise_normalised"] == pytest.approx(expected, abs=1e-6)


# -- no score depends on what a target is measured in


@pytest.mark.parametrize("batch", [7, 87])
@pytest.mark.parametrize("offset", [0.0, -30.0])
@pytest.mark.parametrize("unit", [1e-30, 1e-13, 1e15, 1e30])
def test_scores_are_those_of_any_unit(unit, offset, batch):
    """The squares of most are no float32, and a target of the first batch may be silent."""
    x, y = (side.astype(np.float64) for side in data(offset=offset))
    x[:8, 0] = y[:8, 1] = 0
    y[:, 2], x[:, 3] = offset + 0.1, 0.7
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
        r = [pearsonr(x[:, k], y[:, k]).statistic for k in range(6)]
    variance = explained_variance_score(y, x, multioutput="raw_values")
    sums = streamed((x * unit).astype(np.float32), (y * unit).astype(np.float32), batch)
    found = sums.per_target()
    np.testing.assert_allclose(found["pearson"][[0, 1, 4, 5]], np.array(r)[[0, 1, 4, 5]], atol=2e-6)
    assert np.isnan(found["pearson"]).tolist() == [False, False, True, True, False, False]
    kept = [0, 1, 3, 4, 5]
    np.testing.assert_allclose(found["explained_variance"][kept], variance[kept], rtol=1e-4, atol=1e-4)
    error = mean_squared_error(y, x, multioutput="raw_values") * unit**2
    np.testing.assert_allclose(found["mse"], error, rtol=1e-4)
    ratio = widths(x[:, kept], y[:, kept])
    np.testing.assert_allclose(
        found["spread_ratio"][kept], np.where(np.array(kept) == 3, 0, ratio), rtol=1e-4
    )
    assert sums.compute()["mse"] == pytest.approx(error.mean(), rel=1e-4)


def test_predictions_may_be_of_another_unit_than_the_truth():
    """A network whose targets are not standardised begins far from them."""
    x, y = data()
    r = [pearsonr(x[:, k], y[:, k]).statistic for k in range(6)]
    found = streamed(x * np.float32(1e15), y * np.float32(1e-15)).per_target()
    np.testing.assert_allclose(found["pearson"], r, atol=1e-6)


# -- what is undefined of every target is no score at all: 0 would be compared with others, and chosen by

KINDS_OF_NOTHING = {
    "one sample": lambda x, y: (x[:1], y[:1]),
    "silent targets": lambda x, y: (x, 0 * y),
    "constant targets": lambda x, y: (x, 0 * y + 1e5),
    "constant predictions": lambda x, y: (0 * x + 0.1, y),
    "some of each": lambda x, y: (x * [0, 1, 0], y * [1, 0, 1]),
    "not a number": lambda x, y: (np.where(np.arange(len(x)) == 3, np.nan, x.T).T, y),
}


@pytest.mark.parametrize("kind", KINDS_OF_NOTHING)
def test_a_score_that_no_target_has_is_not_a_number(kind):
    x, y = (side.astype(np.float32) for side in KINDS_OF_NOTHING[kind](*data(targets=3)))
    ceiling = np.array([0.5, 0.0, 0.5])
    with jax.debug_nans(False):
        found, on_the_host = streamed(x, y).compute(ceiling), scores_of(x, y, ceiling)
    r_alone = ("pearson", "pearson_median", "noise_normalised")
    variance = np.var(y.astype(np.float64), 0) == 0
    undefined = (
        (*r_alone, "explained_variance") if len(x) == 1 or variance.all() or np.isnan(x).any() else r_alone
    )
    for scores in (found, on_the_host):
        assert {name for name, value in scores.items() if np.isnan(value)} >= set(undefined)
    if not np.isnan(x).any():
        expected = mean_squared_error(y, x)
        assert found["mse"] == pytest.approx(expected, rel=1e-5)
        assert on_the_host["mse"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("silent", "median"), [(1, True), (2, True), (3, False)])
def test_a_median_that_is_a_silent_targets_is_not_a_number(silent, median):
    """Of four: three zeros are the median whatever the fourth is."""
    x, y = data(targets=4)
    y[:, :silent] = 0
    r = [0.0] * silent + [pearsonr(x[:, k], y[:, k]).statistic for k in range(silent, 4)]
    for scores in (streamed(x, y).compute(), scores_of(x, y)):
        assert scores["pearson"] == pytest.approx(np.mean(r), abs=1e-6)
        expected = np.median(r) if median else np.nan
        assert scores["pearson_median"] == pytest.approx(expected, abs=1e-6, nan_ok=True)
