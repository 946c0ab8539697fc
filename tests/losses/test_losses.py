"""Losses against scikit-learn and scipy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.metrics import log_loss, mean_squared_error

from jaxlab.core.types import UserError
from jaxlab.losses import CrossEntropy, Mse

RNG = np.random.default_rng(0)


def test_mse_of_each_sample():
    x, y = RNG.normal(size=(2, 6, 4)).astype(np.float32)
    expected = [mean_squared_error(y[k], x[k]) for k in range(6)]
    np.testing.assert_allclose(Mse()(jnp.asarray(x), jnp.asarray(y)), expected, rtol=1e-6)


def test_cross_entropy_of_each_sample():
    logits, label = RNG.normal(size=(6, 4)).astype(np.float32), np.array([0, 1, 2, 3, 3, 0])
    found = CrossEntropy()(jnp.asarray(logits), jnp.asarray(label))
    np.testing.assert_allclose(found, -log_softmax(logits, axis=1)[np.arange(6), label], rtol=1e-5)
    assert float(found.mean()) == pytest.approx(
        log_loss(label, np.exp(log_softmax(logits, axis=1))), rel=1e-5
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_class_that_is_none_of_these_costs_nothing_and_teaches_nothing(smoothing):
    logits, label = jnp.asarray(RNG.normal(size=(3, 4)), jnp.float32), jnp.asarray([2, -1, 0])
    loss = CrossEntropy(label_smoothing=smoothing)
    assert (np.asarray(loss(logits, label)) > 0).tolist() == [True, False, True]
    gradient = jax.grad(lambda x: loss(x, label).sum())(logits)
    assert (np.abs(gradient).sum(1) > 0).tolist() == [True, False, True]


def test_label_smoothing_mixes_with_the_uniform_distribution():
    """Szegedy et al. 2016: (1 - a) times the truth plus a / classes for every class."""
    logits, label = RNG.normal(size=(6, 4)).astype(np.float32), np.array([0, 1, 2, 3, 3, 0])
    truth = 0.9 * np.eye(4)[label] + 0.1 / 4
    expected = -(truth * log_softmax(logits, axis=1)).sum(1)
    found = CrossEntropy(label_smoothing=0.1)(jnp.asarray(logits), jnp.asarray(label))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.usefixtures("signatures_off")  # the losses themselves refuse, in every process
@pytest.mark.parametrize(
    ("loss", "outputs", "truth"),
    [
        (Mse(), (6, 1), (6,)),
        (Mse(), (6, 4), (6, 1)),
        (Mse(), (6, 4), (1, 4)),
        (CrossEntropy(), (6, 4), (6, 1)),
    ],
)
def test_losses_refuse_to_broadcast(loss, outputs, truth):
    dtype = jnp.float32 if isinstance(loss, Mse) else jnp.int32
    with pytest.raises(ValueError, match=type(loss).__name__):
        loss(jnp.zeros(outputs), jnp.zeros(truth, dtype))


def test_shares_out_of_range_are_named():
    with pytest.raises(UserError, match=r"CrossEntropy\.label_smoothing"):
        CrossEntropy(label_smoothing=-0.1)
