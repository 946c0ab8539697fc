"""A loss says what it compares numbers in, and is given that.

The kind: a loss that means something in one unit alone (Poisson's, of rates above 0) and used to be fed z-scores.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.special import gammaln
from scipy.stats import poisson

from jaxlab.core.types import UserError
from jaxlab.losses import BatchLoss, Loss, Mse
from jaxlab.objectives import Objective, resolved

RATES = np.random.default_rng(0).poisson(4.0, (30, 2)).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class PoissonOfRates(Loss):
    kind = "regression"
    space = "units"

    def __call__(self, outputs, truth):
        return (outputs - truth * np.log(outputs)).mean(-1)


@dataclass(frozen=True, kw_only=True)
class SaysNothing(Loss):
    kind = "regression"


@dataclass(frozen=True, kw_only=True)
class LooksAtBatches(BatchLoss):
    kind = "regression"


@dataclass(frozen=True, kw_only=True)
class FromMse(Mse):
    pass


def constants(loss, standardize=True):
    (one,) = resolved({"activity": Objective(loss=loss)}, {"activity": ("a", "b")})
    return one, one.constants(RATES, standardize)


def test_a_loss_of_units_is_given_units():
    one, found = constants(PoissonOfRates())
    np.testing.assert_array_equal(found["target_mean"], [0, 0])
    np.testing.assert_array_equal(found["target_scale"], [1, 1])
    np.testing.assert_array_equal(one.compared(RATES, found), RATES)
    outputs = np.full_like(RATES, 3.5)
    expected = -(poisson.logpmf(RATES, 3.5) + gammaln(RATES + 1)).mean(
        -1
    )  # scipy's, without what outputs cannot change
    np.testing.assert_allclose(
        one.loss(one.encoded(outputs, found), one.compared(RATES, found)), expected, rtol=1e-5
    )


@pytest.mark.parametrize("loss", [Mse(), SaysNothing(), LooksAtBatches(), FromMse()])
def test_others_are_given_standardised_targets(loss):
    _, found = constants(loss)
    np.testing.assert_allclose(found["target_mean"], RATES.mean(0, dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(found["target_scale"], RATES.std(0, dtype=np.float64), rtol=1e-6)
    np.testing.assert_array_equal(constants(replace(loss), standardize=False)[1]["target_scale"], [1, 1])


def test_who_has_said_so_is_known():
    said = {
        loss: loss.says_its_space() for loss in (PoissonOfRates, SaysNothing, LooksAtBatches, FromMse, Mse)
    }
    assert said == {PoissonOfRates: True, SaysNothing: False, LooksAtBatches: False, FromMse: True, Mse: True}


def test_another_space_is_refused_where_the_class_is_made():
    with pytest.raises(UserError, match=r"Mistyped\.space: expected standardised or units, found 'unit'"):

        class Mistyped(Loss):
            space = "unit"


@dataclass(frozen=True, kw_only=True)
class Shaped(Loss):
    """Takes its mean over axes that it should not, or over none."""

    over: str = ""
    kind = "regression"
    space = "units"

    def __call__(self, outputs, truth):
        errors = np.square(outputs - truth)
        return {"all": errors.mean(), "none": errors, "rows": errors.mean(0)}[self.over]


@pytest.mark.parametrize(("over", "found"), [("all", r"\(\)"), ("none", r"\(30, 2\)"), ("rows", r"\(2,\)")])
def test_a_loss_that_gives_something_else_than_a_value_a_row(signatures_off, over, found):
    one, given = constants(Shaped(over=over))
    with pytest.raises(UserError, match=rf"Shaped: expected one value a row, \(30,\), .*, found {found}"):
        one.losses(RATES, RATES, given, lambda values: values.sum(0))


@dataclass(frozen=True, kw_only=True)
class OfTargets(BatchLoss):
    """Forgets the mean over targets."""

    kind = "regression"
    space = "units"

    def of_batch(self, outputs, truth, total):
        return total(np.square(outputs - truth))


def test_a_loss_of_the_batch_that_gives_a_value_a_target(signatures_off):
    one, given = constants(OfTargets())
    with pytest.raises(
        UserError, match=r"OfTargets\.of_batch: expected one value for the whole batch, .*, found \(2,\)"
    ):
        one.losses(RATES, RATES, given, lambda values: values.sum(0))
