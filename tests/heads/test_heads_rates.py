"""Rates: a softplus of learned sharpness against PyTorch's formula in float64, in units of the targets' means."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from readouts import built, evaluated, features_of, names, shapes_of
from scipy.special import gammaln
from scipy.stats import poisson

from jaxlab.core import tree
from jaxlab.core.config import from_json, to_json
from jaxlab.core.types import EVALUATION, Samples, UserError
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import ROI, Gaussian, Linear, PerROI, Rates, Squashed, Sum
from jaxlab.losses import CrossEntropy, Mse, Poisson
from jaxlab.objectives import Objective, resolved
from jaxlab.optim.optimizers import decayed

FEATURES = features_of(3)
HEAD = Rates(head=Linear(layer="last"), sharpness=0.5)
COUNTS = np.random.default_rng(0).poisson([2.0, 900.0, 0.0], (30, 3)).astype(np.float32)


def test_outputs_are_a_softplus_of_each_targets_sharpness():
    """log(1 + exp(beta x + c)) / beta, where log(1 + exp(c)) is beta at first."""
    module = built(HEAD)
    inner = evaluated(module.inner, FEATURES).astype(np.float64)
    beta = np.exp(np.asarray(module.log_beta[...], np.float64))
    expected = np.logaddexp(0, beta * inner + np.log(np.expm1(0.5))) / beta
    found = evaluated(module, FEATURES)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert np.all(found > 0)
    assert from_json(to_json(HEAD)) == HEAD


@pytest.mark.parametrize("sharpness", [1e-3, 1.0, 50.0])
def test_it_starts_at_the_mean_whatever_the_sharpness(sharpness):
    head = Rates(head=Linear(layer="last"), sharpness=sharpness)
    module = head.build(shapes_of(), names(5), nnx.Rngs(0))
    np.testing.assert_allclose(evaluated(module, FEATURES), np.ones((3, 5)), rtol=2e-4)


def test_far_outputs_and_their_gradients_are_finite():
    module = built(HEAD, 2)
    graphdef, state = nnx.split(module)

    def total(state, x):
        return nnx.merge(graphdef, state)({"last": x}, EVALUATION).sum()

    state["inner"]["bias"][...] = jnp.asarray([1e5, -1e5])
    slopes = jax.jit(jax.grad(total))(state, FEATURES["last"])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))
    assert not decayed(tree.flatten(state), ())["log_beta"]


def test_losses_of_units_see_rates_and_targets_in_units():
    """A target that is silent has no mean to be a multiple of, and 1 in its place. scipy has the likelihood."""
    objective = Objective(head=HEAD, loss=Poisson())
    (one,) = resolved({"activity": objective}, {"activity": names(3)})
    constants = one.constants(COUNTS, True)
    means = COUNTS.mean(0, dtype=np.float64)
    np.testing.assert_allclose(constants["target_scale"], [*means[:2], 1], rtol=1e-6)
    np.testing.assert_array_equal(constants["target_mean"], np.zeros(3))
    outputs = np.random.default_rng(1).uniform(0.2, 2, COUNTS.shape).astype(np.float32)
    rates = one.in_units(outputs, constants)
    np.testing.assert_allclose(rates, outputs * [*means[:2], 1], rtol=1e-5)
    found = one.losses(outputs, COUNTS, constants, lambda x: x.sum(0)).loss
    expected = -(poisson.logpmf(COUNTS, np.float64(rates)) + gammaln(COUNTS + 1)).mean(1)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_allclose(one.encoded(rates, constants), outputs, rtol=1e-5)


def test_targets_below_0_are_no_rates():
    (one,) = resolved({"activity": Objective(head=HEAD, loss=Poisson())}, {"activity": names(3)})
    truth = COUNTS - [[0.0, 0.0, 0.5]]
    samples = Samples(np.arange(30).astype(str), read=None, checksum=None, target=truth.astype(np.float32))
    message = (
        "objective 'activity': expected rates, 0 or more, of head=Rates(...), found 30 values below 0 in 1 of 3 "
        "targets (n2): standardised already? Then use the head within, without it"
    )
    with pytest.raises(UserError, match=re.escape(message)):
        one.learnable(samples, np.arange(30), standardize=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rates(head=Linear(), sharpness=0.0), "Rates.sharpness: expected more than 0, found 0.0"),
        (lambda: Rates(head=Squashed(head=Linear())), "Rates.head: expected a head that leaves its targets"),
        (
            lambda: Squashed(head=HEAD),
            "Squashed.head: expected a head that leaves its targets as they are, found Rates",
        ),
        (lambda: Sum(heads=(Gaussian(), HEAD)), "Sum.heads.1: expected a head that leaves"),
        (
            lambda: PerROI(parts=(ROI(name="a", targets=".*", head=HEAD),)),
            "ROI 'a': head: expected a head that leaves",
        ),
        (
            lambda: Objective(head=HEAD, loss=CrossEntropy()),
            "head=Rates() is for numbers, but the loss is for class",
        ),
        (
            lambda: Experiment(head=HEAD),
            "objective 'activity': Rates() predicts 0 or more in the targets' own units, but Mse() compares "
            "standardised ones, of which half lie below 0: use a loss of units, as Poisson(), or set "
            "training.standardize to False",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(UserError, match=re.escape(message)):
        make()
    Experiment(head=HEAD, loss=Mse(), training=Training(epochs=1, standardize=False))
