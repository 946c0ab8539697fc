"""What is drawn: points, curves and groups by numpy."""

import numpy as np

from jaxlab.report.results import classes, course, numbers, study


def test_the_scatter_is_standardised_by_each_targets_truth(nans_allowed):
    rng = np.random.default_rng(3)
    truth = rng.normal([5, -100, 0], [1, 30, 0], (40, 3))  # the last is constant
    truth[0, 0] = np.nan
    pairs = numbers.standardised(truth, 2 * truth)
    z = (truth - np.nanmean(truth, 0))[:, :2] / np.nanstd(truth, 0)[:2]
    np.testing.assert_allclose(np.sort(pairs[:, 0]), np.sort(z[np.isfinite(z)]), rtol=1e-9)
    assert len(numbers.standardised(np.ones((9, 40_000), np.float32), np.ones((9, 40_000), np.float32))) == 0


def test_a_long_curve_keeps_its_extremes():
    values = np.random.default_rng(4).normal(size=50_000)
    values[777] = 99.0
    steps, kept = course.thinned([{"step": k, "x": float(v)} for k, v in enumerate(values)], "x", bins=50)
    assert len(steps) <= 100
    assert (max(kept), min(kept)) == (99.0, values.min())
    assert steps == sorted(steps)


def test_many_classes_are_seen_in_groups():
    counts = np.random.default_rng(5).integers(0, 9, (973, 973))
    grouped, names = classes.grouped(counts, [f"c{k}" for k in range(973)])
    assert grouped.shape == (60, 60)
    assert grouped.sum() == counts.sum()
    second = int(names[1][1:])
    assert grouped[0, 1] == counts[:second, second : int(names[2][1:])].sum()


def test_settings_lie_on_their_axes():
    at, marks = study.places([1e-4, 1e-2, 1e-3])
    np.testing.assert_allclose(at, [0, 1, 0.5], atol=1e-12)
    assert marks == [(0.0, "0.0001"), (1.0, "0.01")]
    at, marks = study.places(["gelu", "relu", "gelu"])
    assert at.tolist() == [0, 1, 0]
