"""Scores where each target lacks truths of its own: as of its known rows alone, by scipy and numpy."""

import numpy as np
import pytest
from scipy import stats

from submit import metrics
from submit.metrics.known import where_known


def loop(pred, truth):
    """One target after another."""
    found = {name: [] for name in ("pearson", "explained_variance", "mse", "spread_ratio", "ks_distance")}
    for x, y in zip(pred.T.astype(float), truth.T.astype(float), strict=True):
        x, y = x[~np.isnan(y)], y[~np.isnan(y)]
        finite, varies = np.isfinite(x).all(), len(y) > 1 and np.ptp(y) > 0
        found["pearson"].append(stats.pearsonr(x, y)[0] if finite and varies and np.ptp(x) > 0 else np.nan)
        found["explained_variance"].append(1 - (y - x).var() / y.var() if finite and varies else np.nan)
        found["mse"].append(((y - x) ** 2).mean() if len(y) else np.nan)
        found["spread_ratio"].append(x.std() / y.std() if finite and varies else np.nan)
        found["ks_distance"].append(stats.ks_2samp(x, y).statistic if finite and len(y) else np.nan)
    return {name: np.array(values) for name, values in found.items()}


@pytest.mark.parametrize("offset", [0.0, 1e7])
def test_scores_are_those_of_each_targets_known_rows(offset):
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(40, 60)).round(1) + offset  # with ties
    pred = truth + rng.normal(size=truth.shape).round(1)
    truth[rng.random(truth.shape) < rng.random(60)] = np.nan  # other rows, and other shares, of each target
    truth[:, 0] = np.nan
    truth[1:, 1] = np.nan  # one is known
    truth[:, 2] = 3.0  # constant where known
    truth[5, 2] = np.nan
    pred[:, 3] = 0.5
    pred[np.isnan(truth)] = rng.choice([np.inf, np.nan, 1e300], np.isnan(truth).sum())  # are not looked at
    truth[0, 4], pred[0, 4] = offset, np.inf
    found = where_known(pred, truth, distances=True)
    expected = loop(pred, truth)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6, err_msg=name)
    assert where_known(pred, truth).keys() == found.keys() - {"ks_distance"}


def test_where_all_is_known_they_are_the_usual_ones():
    rng = np.random.default_rng(1)
    pred, truth = rng.normal(size=(2, 30, 7)).astype(np.float32)
    found = where_known(pred, truth, distances=True)
    for name, values in found.items():
        np.testing.assert_allclose(values, getattr(metrics, name)(pred, truth), rtol=1e-12, err_msg=name)
