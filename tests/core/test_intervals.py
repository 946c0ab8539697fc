"""Intervals and paired tests over runs are scipy's."""

import math

import numpy as np
import pytest
from scipy import stats

from jaxlab.core.intervals import interval, paired

ONE, OTHER = np.random.default_rng(3).normal([0.6, 0.5], 0.03, (7, 2)).T


def test_an_interval_is_students():
    found = interval(ONE)
    ends = stats.t.interval(0.95, 6, loc=ONE.mean(), scale=stats.sem(ONE))
    assert found == pytest.approx((7, ONE.mean(), stats.tstd(ONE), *ends))


def test_what_is_undefined_has_no_part():
    assert interval([*ONE, math.nan, math.inf]) == interval(ONE)
    one = interval([0.5, math.nan])
    assert one[:2] == (1, 0.5)
    assert np.isnan(one[2:]).all()
    assert interval([]).n == 0
    assert math.isnan(interval([math.nan]).mean)


def test_pairs_are_compared_as_scipy_does():
    found, ends = paired(ONE, OTHER), interval(ONE - OTHER)
    assert found[:5] == pytest.approx(ends)
    assert found.p_t == pytest.approx(stats.ttest_rel(ONE, OTHER).pvalue)
    assert found.p_wilcoxon == pytest.approx(stats.wilcoxon(ONE, OTHER).pvalue)
    gap = paired([*ONE, math.nan, 1.0], [*OTHER, 1.0, math.nan])
    assert gap == pytest.approx(found), "pairs without a side are left out"


def test_of_folds_it_counts_that_they_learn_in_common():
    """Nadeau & Bengio 2003, by scipy: the variance of a mean of k folds is (1 / k + 1 / (k - 1)) s2."""
    one, other = ONE[:5], OTHER[:5]
    scale = np.sqrt((1 / 5 + 1 / 4) * np.var(one - other, ddof=1))
    mean = (one - other).mean()
    found = paired(one, other, overlap=1 / 4)
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.95, 4, mean, scale))
    assert found.p_t == pytest.approx(2 * stats.t.sf(abs(mean) / scale, 4))
    assert math.isnan(found.p_wilcoxon)


def test_of_differences_without_spread_there_is_no_p():
    alike = paired(ONE, ONE)
    assert alike[:5] == (7, 0, 0, 0, 0)
    assert math.isnan(alike.p_t)
    assert math.isnan(alike.p_wilcoxon)
    assert math.isnan(paired([1.0], [0.5]).p_t)
