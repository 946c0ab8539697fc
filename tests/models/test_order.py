"""The layer of each parameter, told from the computation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxlab.core.rng import initial_rngs
from jaxlab.core.types import EVALUATION
from jaxlab.heads import Linear, build_network
from jaxlab.models.order import order
from jaxlab.models.resnet import ResNet
from jaxlab.models.shallow_cnn import ShallowCNN


def split(build):
    return nnx.split(nnx.eval_shape(build), nnx.Param, nnx.BatchStat)


def network(model, layer):
    return lambda: build_network(model, Linear(layer=layer), (32, 32, 3), ("a", "b"), initial_rngs(0))


class Odd(nnx.Module):
    """Named against its order; `shared` serves twice, `unused` never, `nested` within a compiled call."""

    def __init__(self):
        for name in ("z_first", "shared", "nested", "last", "unused"):
            setattr(self, name, nnx.Param(jnp.ones(3)))

    def __call__(self, images, mode):
        x = images.mean((1, 2)) * self.z_first[...][None]
        low = x + self.shared[...][None]
        middle = jax.jit(lambda x, p: jnp.tanh(x) * p[None])(low, self.nested[...])
        return {"low": low, "head": middle, "high": middle * (self.last[...] + self.shared[...])[None]}


class Sampled(nnx.Module):
    """A head that uses `width` in training alone, and reads the feature "head"."""

    def __init__(self):
        self.width = nnx.Param(jnp.ones(()))

    def __call__(self, features, mode):
        return features["head"] * (self.width[...] if mode.train else 1.0)


def odd():
    class Whole(nnx.Module):
        def __init__(self):
            self.backbone, self.head = Odd(), Sampled()

    return Whole()


def test_a_parameter_belongs_to_the_first_feature_that_depends_on_it():
    found = order(split(odd), (4, 4, 3))
    assert found.layers == ("low", "head", "high", "readout")
    assert found.layer_of == {
        "backbone.z_first": "low", "backbone.shared": "low", "backbone.nested": "head",
        "backbone.last": "high", "backbone.unused": "high", "head.width": "readout",
    }  # fmt: skip
    assert found.unread == {"backbone.last", "backbone.unused"}


@pytest.mark.parametrize(
    ("model", "read", "layers"),
    [
        (ResNet(depth=18), "layer3", ("stem", "layer1", "layer2", "layer3", "layer4", "pool")),
        (
            ResNet(depth=50, classes=7),
            "pool",
            ("stem", *(f"layer{k}" for k in (1, 2, 3, 4)), "pool", "logits"),
        ),
    ],
)
def test_a_resnets_parameters_are_named_after_their_layers(model, read, layers):
    found = order(split(network(model, read)), (32, 32, 3))
    assert found.layers == (*layers, "readout")
    for path, layer in found.layer_of.items():
        second = path.split(".")[1] if path.startswith("backbone.") else "readout"
        assert layer == {"conv1": "stem", "bn1": "stem", "fc": "logits"}.get(second, second)
        assert (path in found.unread) == (layer in layers[layers.index(read) + 1 :])


@pytest.mark.slow
def test_as_gradients_say():
    """With dropout and batch norm in training; a feature's gradient is not zero where it depends on a parameter."""
    model = ShallowCNN(channels=(3, 4, 5), kernel_sizes=(3, 3, 3), dropout=0.1)
    found = order(split(network(model, "level2")), (32, 32, 3))
    backbone = model.build(3, initial_rngs(0))
    images = jnp.asarray(np.random.default_rng(0).normal(size=(2, 16, 16, 3)), jnp.float32)
    graphdef, params, rest = nnx.split(backbone, nnx.Param, ...)

    @jax.jit
    def gradients(params):
        def sums(params):
            features = nnx.merge(graphdef, params, rest)(images, EVALUATION)
            return [jnp.sum(jnp.square(feature)) for feature in features.values()]

        return jax.jacrev(sums)(params)

    flat = [dict(nnx.to_flat_state(g)) for g in gradients(params)]
    for path in flat[0]:
        first = next(k for k, g in enumerate(flat) if np.abs(g[path].get_value()).max() > 0)
        assert found.layer_of[".".join(map(str, ("backbone", *path)))] == found.layers[first]
