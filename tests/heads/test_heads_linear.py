"""Linear and low-rank readouts of one layer and of several, against numpy; what all readouts share."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from readouts import built, evaluated, features_of, names, shapes_of, training

from jaxlab.core.config import from_json, override, to_json
from jaxlab.core.types import UserError
from jaxlab.experiment import Experiment
from jaxlab.heads import Linear, LowRank, build_network
from jaxlab.heads.base import ReadoutModule
from jaxlab.models.resnet import ResNet
from jaxlab.models.shallow_cnn import ShallowCNN

FEATURES = features_of(3)
LAYERS = [None, "last", "first", ("first", "last"), ("last", "second", "first")]


def read(layer):
    return (layer,) if isinstance(layer, str) else layer or ("last",)


def flat(name):
    return np.asarray(FEATURES[name], np.float64).reshape(3, -1)


@pytest.mark.parametrize("layer", LAYERS)
def test_linear_reads_all_positions_of_its_layers(layer):
    module = built(Linear(layer=layer))
    expected = sum(flat(k) @ np.asarray(module.layers[k].kernel[...], np.float64) for k in read(layer))
    expected = expected + np.asarray(module.bias[...])
    np.testing.assert_allclose(evaluated(module, FEATURES), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layer", LAYERS)
def test_low_rank_is_linear_with_a_product_of_two(layer):
    module = built(LowRank(layer=layer, rank=2))
    kernels = {
        k: np.asarray(part.down[...], np.float64) @ np.asarray(part.up[...])
        for k, part in module.layers.items()
    }
    assert {kernel.shape[1] for kernel in kernels.values()} == {5}
    assert max(np.linalg.matrix_rank(kernel) for kernel in kernels.values()) == 2
    expected = sum(flat(k) @ kernels[k] for k in read(layer)) + np.asarray(module.bias[...])
    np.testing.assert_allclose(evaluated(module, FEATURES), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("head", [Linear(), LowRank(rank=2)], ids=repr)
def test_an_untrained_readout_predicts_the_mean(head):
    module = head.build(shapes_of(), names(5), nnx.Rngs(0))
    np.testing.assert_array_equal(evaluated(module, FEATURES), np.zeros((3, 5)))
    assert float(module.penalty()) == 0


def test_layers_are_one_field_of_one_name_or_several():
    experiment = Experiment()
    for text, layer in (
        ("layer2", "layer2"),
        ('("a","b")', ("a", "b")),
        ('["a","b"]', ("a", "b")),
        ("none", None),
    ):
        head = override(experiment, [f"head.layer={text}"]).head
        assert head == Linear(layer=layer)
        assert from_json(to_json(head)) == head
    with pytest.raises(UserError, match=r"Linear\.layer: expected .*found \('a', 3\)"):
        Linear(layer=("a", 3))


@pytest.mark.parametrize("layer", ["lats", ("last", "lats")])
def test_unknown_layers_name_the_models(layer):
    with pytest.raises(
        UserError, match=r"Linear\.layer: the model has no layer 'lats'; it has first, second, last"
    ):
        Linear(layer=layer).build(shapes_of(), names(5), nnx.Rngs(0))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linear(dropout=1.0), r"Linear\.dropout: expected a share in \[0, 1\), found 1.0"),
        (lambda: Linear(layer=()), r"Linear\.layer: expected one or more different names, found \(\)"),
        (lambda: LowRank(rank=2, layer=("a", "a")), r"LowRank\.layer: .*found \('a', 'a'\)"),
        (lambda: LowRank(rank=0), r"LowRank\.rank: expected 1 or more, found 0"),
    ],
)
def test_wrong_fields_are_named(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_dropout_is_on_in_training_alone_and_differs_between_layers():
    shapes = {"a": (50,), "b": (50,)}
    module = Linear(layer=("a", "b"), dropout=0.5).build(shapes_of(shapes), names(1), nnx.Rngs(0))
    for sign, name in ((1, "a"), (-1, "b")):
        module.layers[name].kernel[...] = sign * jnp.ones((50, 1))
    features = {"a": jnp.ones((3, 50)), "b": jnp.ones((3, 50))}
    np.testing.assert_array_equal(evaluated(module, features), np.zeros((3, 1)))
    trained = np.asarray(module(features, training(3)))
    np.testing.assert_array_equal(trained, module(features, training(3)))
    assert np.all(trained != 0), "the same mask for both layers"
    assert len(np.unique(trained)) > 1, "the same mask for all images"


def test_normalized_features_have_mean_0_and_variance_1_however_large():
    """All but a silent channel, which stays small: variance 1e-8 is far below the epsilon."""
    rng = np.random.default_rng(0)
    channels = rng.normal(size=(64, 3, 3, 3)) * [1e3, 1.0, 1e-4] + [1e4, 0.0, 0.0]
    module = Linear(layer="x", normalize=True).build(shapes_of({"x": (3, 3, 3)}), names(27), nnx.Rngs(0))
    module.layers["x"].kernel[...] = jnp.eye(27)
    outputs = evaluated(module, {"x": jnp.asarray(channels, jnp.float32)}, training(64))
    found = outputs.reshape(-1, 3)
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(found.std(0), [1, 1, 1e-4 / np.sqrt(1e-3)], rtol=0.02)


def test_network_has_one_output_a_target():
    model = ShallowCNN(channels=(4,), kernel_sizes=(3,))
    network = nnx.eval_shape(lambda: build_network(model, Linear(), (8, 8, 3), names(5), nnx.Rngs(0)))
    assert network.head.layers["pool"].kernel.shape == (4, 5)
    assert network.head.bias.shape == (5,)


def test_the_default_layer_is_the_backbones_last_not_the_alphabets():
    """eval_shape sorts what it returns by name, which puts a ResNet's stem last."""
    network = nnx.eval_shape(
        lambda: build_network(ResNet(depth=18), Linear(), (64, 64, 3), names(7), nnx.Rngs(0))
    )
    assert network.head.layers["pool"].kernel.shape == (512, 7)


def test_a_part_may_be_a_plain_module_of_flax():
    """It has no penalty, and adds none."""
    module = ReadoutModule({"a": nnx.Linear(3, 2, rngs=nnx.Rngs(0))}, {}, 2, 0.0)
    assert float(module.penalty()) == 0
