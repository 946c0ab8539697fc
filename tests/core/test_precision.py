"""Which targets float32 would lose: those far from 0 beside their spread, in whatever unit; no constant ones."""

import numpy as np
import pytest

from jaxlab.core.precision import loses, narrowed, origin

SPREAD = np.random.default_rng(0).normal(size=(50, 3))


@pytest.mark.parametrize("unit", [1e-30, 1e-13, 1.0, 1e30])
@pytest.mark.parametrize(
    ("offset", "lost"), [(0, False), (1e3, False), (1e5, True), (1e8, True), (1.7e9, True)]
)
def test_far_offsets_are_kept_in_float64(unit, offset, lost):
    targets = np.concatenate([SPREAD, SPREAD[:, :1] + offset], axis=1) * unit
    kept = narrowed(targets)
    assert kept.dtype == (np.float64 if lost else np.float32)
    assert loses(targets) == lost
    found = origin(targets)
    assert (found is None) != lost
    if lost:
        above = (targets - found).astype(np.float32)
        expected = targets.astype(np.longdouble) - targets.astype(np.longdouble).mean(0)
        error = np.abs(above - expected.astype(float)).max(0) / targets.std(0)
        assert error.max() < 1e-5
    as_they_are = targets.astype(np.float32)
    assert narrowed(as_they_are) is as_they_are


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9, 1.7e9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_loses_nothing(value, dtype):
    """With what rounding leaves: a mean of three 0.1 is not 0.1."""
    targets = np.concatenate([SPREAD, np.full((50, 1), value)], axis=1).astype(dtype)
    targets[::3, 3] = np.nextafter(targets[::3, 3], np.inf)
    assert narrowed(targets).dtype == np.float32
    assert origin(targets) is None


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_what_is_not_finite_is_left_to_whoever_refuses_it(value):
    targets = SPREAD.copy()
    targets[4, 1] = value
    assert not np.isfinite(narrowed(targets)[4, 1])


def test_counts_and_times_are_numbers_too():
    assert narrowed(np.arange(12).reshape(6, 2)).dtype == np.float32
    times = np.arange(12).reshape(6, 2) + 1_700_000_000
    assert narrowed(times).dtype == np.float64
    np.testing.assert_array_equal(narrowed(times), times)
