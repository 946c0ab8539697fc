"""Both sides of the switch compute the same, and the one that is not for CPUs is of jax's own functions."""

from collections import Counter
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.extend import core

from jaxlab.core.rng import initial_rngs
from jaxlab.core.types import EVALUATION, Mode
from jaxlab.models import DeiT, EfficientNet, ResNet, ShallowCNN, ShuffleNetV2, vit
from jaxlab.nn import cpu
from jaxlab.nn.attention import SelfAttention, dot_product_attention
from jaxlab.nn.convolution import convolve
from jaxlab.nn.layers import BatchNorm, average_pool, gelu, max_pool, unfused_gradient

TRAIN = Mode(train=True)


def convolution(strides, padding, groups=1):
    options = {"dimension_numbers": ("NHWC", "HWIO", "NHWC"), "feature_group_count": groups}
    return lambda x, kernel: convolve(x, kernel, strides, padding, **options)


def batch_norm(x, scale, bias, mode=TRAIN, **options):
    norm = BatchNorm(x.shape[-1])
    norm.scale[...], norm.bias[...] = scale, bias
    return norm(x, mode, **options), norm.mean[...], norm.var[...]


def masked(q, k, v):
    return dot_product_attention(q, k, v, jnp.array([[True, False, True, True, False]] * 2))


PADS = ((1, 1), (1, 1))
HEADS = [(2, 5, 3, 4)] * 3
CONVOLUTIONS = {  # what is computed, and the shapes of what it takes
    "depthwise": (convolution((1, 1), PADS, 6), [(2, 9, 8, 6), (3, 3, 1, 6)]),
    "depthwise, strided": (convolution((2, 2), PADS, 6), [(2, 9, 8, 6), (3, 3, 1, 6)]),
    "depthwise, as TensorFlow": (convolution((2, 2), "SAME", 4), [(2, 8, 8, 4), (5, 5, 1, 4)]),
    "grouped": (convolution((1, 1), PADS, 2), [(2, 6, 6, 4), (3, 3, 2, 4)]),
    "1 x 1": (convolution((2, 2), "VALID"), [(2, 9, 8, 6), (1, 1, 6, 5)]),
    "small map": (convolution((1, 1), PADS), [(2, 2, 3, 6), (3, 3, 6, 5)]),
    "colours": (convolution((2, 2), PADS), [(2, 9, 12, 3), (3, 3, 3, 5)]),
    "patches": (convolution((4, 2), "VALID"), [(2, 16, 12, 3), (4, 2, 3, 5)]),
    "other": (convolution((1, 1), PADS), [(2, 9, 8, 6), (3, 3, 6, 5)]),
}
LAYERS = CONVOLUTIONS | {
    "max-pool": (max_pool, [(2, 9, 8, 3)]),
    "max-pool, dense": (lambda x: max_pool(x, stride=1), [(2, 9, 8, 3)]),
    "average-pool": (average_pool, [(2, 9, 8, 3)]),
    "gelu": (gelu, [(3, 7)]),
    "batch norm": (batch_norm, [(4, 5, 3, 6), (6,), (6,)]),
    "batch norm of rows": (batch_norm, [(9, 6), (6,), (6,)]),
    "batch norm and what follows": (partial(batch_norm, then=jax.nn.silu), [(4, 5, 3, 6), (6,), (6,)]),
    "batch norm that stays": (partial(batch_norm, mode=EVALUATION, then=jax.nn.relu6), [(9, 6), (6,), (6,)]),
    "batch norm of some": (partial(batch_norm, mask=np.arange(9) % 3 > 0), [(9, 6), (6,), (6,)]),
    "attention": (dot_product_attention, HEADS),
    "masked attention": (masked, HEADS),
    "self-attention": (lambda x: SelfAttention(12, 3, initial_rngs(0))(x), [(2, 5, 12)]),
    "residual": (unfused_gradient, [(3, 7)]),
}


def draw(shapes):
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes]


def forward_and_back(layer, arrays):
    def run(*arrays):
        out, back = jax.vjp(layer, *arrays)
        slopes = jax.tree.map(lambda y: jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape), out)
        return out, back(slopes)

    return jax.jit(run)(*arrays)


@pytest.mark.parametrize("name", LAYERS)
def test_values_and_gradients_are_the_same_on_both_sides(name):
    layer, shapes = LAYERS[name]
    arrays = draw(shapes)
    found = []
    for on in (True, False):
        with cpu.switched(on):
            found.append(forward_and_back(layer, arrays))
    for ours, plain in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-5, atol=1e-5)


def primitives(jaxpr):
    """How often each primitive stands in a jaxpr and those within it."""
    found = Counter()
    for equation in jaxpr.eqns:
        found[equation.primitive.name] += 1
        for value in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_jaxpr):
            if _is_jaxpr(value):
                found += primitives(getattr(value, "jaxpr", value))
    return found


def _is_jaxpr(value):
    return isinstance(value, core.Jaxpr | core.ClosedJaxpr)


def traced(layer, *arrays, on=False):
    with cpu.switched(on):
        return jax.make_jaxpr(lambda *a: layer(*a))(*arrays)  # a new function: jax keeps the traces of one


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_off_a_cpu_a_convolution_is_lax(name):
    layer, shapes = CONVOLUTIONS[name]
    jaxpr = traced(layer, *draw(shapes)).jaxpr
    assert [equation.primitive.name for equation in jaxpr.eqns] == ["conv_general_dilated"]
    groups = {"depthwise": shapes[0][-1], "grouped": 2}.get(name.partition(",")[0], 1)
    assert jaxpr.eqns[0].params["feature_group_count"] == groups


def test_off_a_cpu_layers_are_jaxs_own():
    x = jnp.ones((2, 8, 8, 3))
    assert primitives(traced(max_pool, x).jaxpr)["reduce_window_max"] == 1
    assert str(traced(gelu, x)) == str(jax.make_jaxpr(lambda x: jax.nn.gelu(x, approximate=False))(x))
    heads = draw(HEADS)
    assert str(traced(dot_product_attention, *heads)) == str(
        jax.make_jaxpr(jax.nn.dot_product_attention)(*heads)
    )
    assert not traced(unfused_gradient, x).jaxpr.eqns
    for layer, arrays in ((average_pool, [x]), (batch_norm, [x, x[0, 0, 0], x[0, 0, 0]])):
        sums = [e for e in traced(layer, *arrays).jaxpr.eqns if e.primitive.name == "reduce_sum"]
        assert {e.params["axes"] for e in sums} <= {(0, 1, 2), (1, 2)}
        assert sums


@pytest.mark.parametrize(
    ("config", "convolutions"),
    [
        (ResNet(depth=18), 20),  # a stem, two in each of 8 blocks, 3 shortcuts
        (EfficientNet(variant="lite0"), 49),  # stem, head, 3 in each of 16 blocks but 2 in the first
        (ShuffleNetV2(width=0.5), 56),  # stem, conv5, 3 in each of 16 blocks and 2 more in 3 of them
        (ShallowCNN(), 3),
        (DeiT(size="tiny", distilled=True), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_off_a_cpu_a_network_is_made_of_lax_convolutions(config, convolutions, monkeypatch):
    monkeypatch.setattr(vit, "BLOCKS", 2)
    graphdef, state = nnx.split(nnx.eval_shape(lambda: config.build(3, initial_rngs(0))))

    def features(state, images):
        return nnx.merge(graphdef, state, copy=True)(images, TRAIN)

    images = jax.ShapeDtypeStruct((2, 64, 64, 3), jnp.float32)
    plain, ours = (primitives(traced(features, state, images, on=on).jaxpr) for on in (False, True))
    assert plain["conv_general_dilated"] == convolutions
    assert not any("custom_vjp" in name for name in plain)
    assert ours != plain


def test_the_backend_decides_unless_a_test_does(monkeypatch):
    for backend, on in (("cpu", True), ("gpu", False), ("tpu", False)):
        monkeypatch.setattr(jax, "default_backend", lambda backend=backend: backend)
        assert cpu.on_cpu() is on
        with cpu.switched(not on):
            assert cpu.on_cpu() is not on
            with cpu.switched(on):
                assert cpu.on_cpu() is on
        assert cpu.on_cpu() is on
