"""Losses against scikit-learn and scipy; the linear readout."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from scipy.special import log_softmax
from sklearn.metrics import log_loss, mean_squared_error

from jaxlab.heads import Linear, build_network
from jaxlab.losses import CrossEntropy, Mse
from jaxlab.models.resnet import ResNet
from jaxlab.models.shallow_cnn import ShallowCNN
from jaxlab.rng import row_keys, step_key
from jaxlab.types import EVALUATION, Mode, UserError

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


def test_label_smoothing_mixes_with_the_uniform_distribution():
    """Szegedy et al. 2016: (1 - a) times the truth plus a / classes for every class."""
    logits, label = RNG.normal(size=(6, 4)).astype(np.float32), np.array([0, 1, 2, 3, 3, 0])
    truth = 0.9 * np.eye(4)[label] + 0.1 / 4
    expected = -(truth * log_softmax(logits, axis=1)).sum(1)
    found = CrossEntropy(label_smoothing=0.1)(jnp.asarray(logits), jnp.asarray(label))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


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
    with pytest.raises(UserError, match=r"Linear.dropout: expected a share in \[0, 1\), found 1.0"):
        Linear(dropout=1.0)
    with pytest.raises(UserError, match=r"CrossEntropy\.label_smoothing"):
        CrossEntropy(label_smoothing=-0.1)


FEATURES = {
    "first": jax.ShapeDtypeStruct((1, 4, 4, 2), "float32"),
    "last": jax.ShapeDtypeStruct((1, 7), "float32"),
}


@pytest.mark.parametrize(("layer", "width"), [(None, 7), ("last", 7), ("first", 32)])
def test_linear_reads_all_positions_of_its_layer(layer, width):
    module = Linear(layer=layer).build(FEATURES, 5, nnx.Rngs(0))
    assert not np.any(module.linear.kernel[...])  # it starts at the mean of standardised targets
    module.linear.kernel[...] = jnp.asarray(RNG.normal(size=(width, 5)), "float32")
    features = {
        name: jnp.asarray(RNG.normal(size=(3, *s.shape[1:])), "float32") for name, s in FEATURES.items()
    }
    x = np.asarray(features[layer or "last"]).reshape(3, width)
    expected = x @ np.asarray(module.linear.kernel[...]) + np.asarray(module.linear.bias[...])
    np.testing.assert_allclose(module(features, EVALUATION), expected, rtol=1e-5, atol=1e-6)


def test_unknown_layer_names_the_models():
    with pytest.raises(UserError, match="no layer 'lats'; it has first, last"):
        Linear(layer="lats").build(FEATURES, 5, nnx.Rngs(0))


def test_head_dropout_is_on_in_training_alone():
    module = Linear(dropout=0.5).build(FEATURES, 5, nnx.Rngs(0))
    module.linear.kernel[...] = jnp.ones((7, 5))
    features = {"last": jnp.ones((3, 7))}
    rows = row_keys(step_key(0, 0), 3)
    trained = module(features, Mode(train=True, row_keys=rows))
    np.testing.assert_array_equal(trained, module(features, Mode(train=True, row_keys=rows)))
    assert not np.allclose(trained[0], trained[1])
    assert np.allclose(module(features, EVALUATION)[0], module(features, EVALUATION)[1])


def test_network_has_one_output_a_target():
    shapes = nnx.eval_shape(
        lambda: build_network(
            ShallowCNN(channels=(4,), kernel_sizes=(3,)), Linear(), (8, 8, 3), 5, nnx.Rngs(0)
        )
    )
    assert shapes.head.linear.kernel.shape == (4, 5)


def test_the_default_layer_is_the_backbones_last_not_the_alphabets():
    """eval_shape sorts what it returns by name, which puts a ResNet's stem last."""
    network = nnx.eval_shape(lambda: build_network(ResNet(depth=18), Linear(), (64, 64, 3), 7, nnx.Rngs(0)))
    assert network.head.linear.kernel.shape == (512, 7)
