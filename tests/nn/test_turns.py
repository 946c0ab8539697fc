"""Images a few at a time: the same as all at once, in evaluation, below what trains, and over devices."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from tiny import parts_of, stirred, tiny

from jaxlab.core.types import Mode
from jaxlab.heads import Linear
from jaxlab.heads.network import build_network
from jaxlab.models import ShallowCNN
from jaxlab.models.base import Model
from jaxlab.models.mbconv import MBConv, MBConvSpec, Style
from jaxlab.nn.cpu import switched, turns
from jaxlab.nn.norm import BatchNorm
from jaxlab.training.sharding import Layout
from jaxlab.training.step import evaluation_step, prediction_step

IMAGES = np.random.default_rng(0).normal(size=(8, 6, 5, 3)).astype(np.float32)


class Doubled(nnx.Module):
    """Twice the images times a weight, that notes how many it is traced for."""

    def __init__(self):
        self.weight = nnx.Param(jnp.full((3,), 2.0))

    def __call__(self, x):
        SEEN.append(len(x))
        return {"maps": (y := x * self.weight[...][None, None, None]), "means": y.mean((1, 2))}


SEEN: list[int] = []


@pytest.fixture(autouse=True)
def _forget():
    SEEN.clear()


def doubled(weight, x, most):
    module = Doubled()
    module.weight[...] = weight
    return turns.in_turns(module, Doubled.__call__, x, most)


@pytest.mark.parametrize(
    ("images", "most", "at_once"),
    [(8, 3, 2), (8, 8, 8), (8, 100, 8), (8, 1, 1), (7, 3, 1), (7, 4, 7), (31, 8, 31), (25, 8, 5), (1, 1, 1)],
)
def test_a_batch_is_cut_into_equal_parts_or_not_at_all(images, most, at_once):
    x = np.random.default_rng(1).normal(size=(images, 4, 3, 3)).astype(np.float32)
    found = jax.jit(lambda x: doubled(jnp.float32([1, 2, 3]), x, most))(x)
    assert set(SEEN) == {at_once}
    np.testing.assert_array_equal(found["maps"], x * np.float32([1, 2, 3]))
    np.testing.assert_allclose(found["means"], (x * np.float32([1, 2, 3])).mean((1, 2)), rtol=1e-5, atol=1e-6)


def test_elsewhere_all_images_go_at_once():
    with switched(False):
        jax.jit(lambda x: doubled(jnp.ones(3), x, 2))(IMAGES)
    assert SEEN == [8]


def test_what_trains_sees_all_images_and_what_does_not_sees_a_few():
    def loss(weight):
        below = doubled(jnp.ones(3), IMAGES, 2)["maps"]
        return jnp.square(doubled(weight, below, 4)["means"]).sum()

    weight = np.float32([0.5, -1, 2])
    gradient = jax.jit(jax.grad(loss))(weight)
    assert SEEN[0] == 2
    assert SEEN[-1] == 8
    np.testing.assert_allclose(gradient, 2 * weight * np.square(IMAGES.mean((1, 2))).sum(0), rtol=1e-5)


def test_images_over_devices_stay_where_they_are():
    layout = Layout("data", len(IMAGES))
    assert layout.count == 4

    def step(weight, x):
        return doubled(weight, x, 1)["maps"]

    compiled = layout.compile(step, batch_at=1, arguments=2, rows_out=True)
    x = jax.device_put(IMAGES, layout.split)
    text = compiled.lower(jnp.ones(3), x).compile().as_text()
    assert set(SEEN) == {4}  # one on each
    assert not any(word in text for word in ("all-gather", "all-to-all", "collective-permute", "all-reduce"))
    np.testing.assert_array_equal(compiled(jnp.ones(3), x), IMAGES)


def test_under_pmap_a_device_has_rows_of_its_own():
    layout = Layout("pmap", len(IMAGES))

    def step(weight, x, axis_name):
        return doubled(weight, x, 1)["maps"]

    compiled = layout.compile(step, batch_at=1, arguments=2, rows_out=True)
    found = compiled(jnp.ones(3), IMAGES.reshape(4, 2, 6, 5, 3))
    assert set(SEEN) == {1}
    np.testing.assert_array_equal(np.reshape(found, IMAGES.shape), IMAGES)


@pytest.mark.parametrize(
    ("shape", "images"),
    [
        ((224, 224), 8),
        ((112, 112), 8),
        ((160, 160), 8),
        ((56, 56), 8),
        ((448, 448), 2),
        ((2000, 2000), 1),
        ((28, 28), 32),
    ],
)
def test_fewer_images_of_more_pixels(shape, images):
    assert turns.by_size(jnp.zeros((1, *shape, 3))) == images


@pytest.mark.parametrize(
    ("images", "channels", "at_once"),
    [(32, 96, 1), (3, 96, 3), (40, 10, 2), (32, 10, 32)],  # of 112 x 112
)
def test_a_block_takes_what_a_cache_holds(images, channels, at_once):
    assert turns.by_width(np.zeros((images, 112, 112, 3), np.float32), channels) == at_once


def block(drop_rate=0.0, squeeze=2):
    made = MBConv(
        MBConvSpec(3, 3, 3, 1, 4, squeeze),
        Style(jax.nn.relu6, "tensorflow"),
        drop_rate,
        layer=0,
        rngs=nnx.Rngs(0),
    )
    for _, norm in nnx.iter_graph(made):
        if isinstance(norm, BatchNorm):
            norm.var[...] = jnp.linspace(0.5, 2.0, norm.var[...].size)
    return made


def parts(monkeypatch, made, mode):
    """How many images the depthwise convolution is traced for."""
    seen, plain = [], type(made)._through
    monkeypatch.setattr(turns, "CACHED", 2 * 6 * 5 * 12 * 4)
    monkeypatch.setattr(turns, "SHARED", 0)
    monkeypatch.setattr(
        MBConv, "_through", lambda self, x, mode: (seen.append(len(x)), plain(self, x, mode))[1]
    )
    graphdef, state = nnx.split(made)
    found = jax.jit(lambda state, x: nnx.merge(graphdef, state)(x, mode))(state, IMAGES)
    monkeypatch.undo()
    return seen, found


def test_a_block_takes_as_many_as_its_widest_map_allows(monkeypatch):
    made = block()
    seen, found = parts(monkeypatch, made, Mode())
    assert seen == [2]
    np.testing.assert_allclose(found, made._through(IMAGES, Mode()), rtol=1e-5, atol=1e-6)


def test_a_block_in_training_does_so_with_its_statistics_kept(monkeypatch):
    made = block()
    assert parts(monkeypatch, made, Mode(train=True))[0] == [8]
    assert parts(monkeypatch, made, Mode(momentum=jnp.float32(0.5)))[0] == [8]
    made.set_attributes(use_running_average=True)
    seen, found = parts(monkeypatch, made, Mode(train=True))
    assert seen == [2]
    np.testing.assert_allclose(found, made._through(IMAGES, Mode()), rtol=1e-5, atol=1e-6)
    made.depthwise.norm.observed = True
    assert parts(monkeypatch, made, Mode())[0] == [8]
    dropping = block(drop_rate=0.5)
    dropping.set_attributes(use_running_average=True)
    keys = jax.random.split(jax.random.key(0), 8)
    assert parts(monkeypatch, dropping, Mode(train=True, row_keys=keys))[0] == [8]


def test_evaluation_and_prediction_are_the_same(arrays_npz, monkeypatch):
    """Scores' sums, ranges of what readouts read, which are of the whole batch, and predictions."""
    program, _, batches, state = parts_of(tiny(arrays_npz))
    variables, batch = stirred(state.variables), batches[0]

    def both(most):
        monkeypatch.setattr("jaxlab.heads.network.by_size", lambda seen: SEEN.append(len(seen)) or most)
        evaluated = jax.jit(partial(evaluation_step, program))(variables, state.sums, batch)
        return evaluated, jax.jit(partial(prediction_step, program))(variables, batch)

    whole, few = both(8), both(2)
    assert SEEN == [8] * 4
    assert len(whole[0][1]) == 1
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(few), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=2e-5)


class Own(nnx.Module):
    """A user's, of Flax's layers."""

    def __init__(self, in_channels, rngs):
        self.conv = nnx.Conv(in_channels, 4, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)

    def __call__(self, x, mode):
        return {"last": (x := nnx.relu(self.norm(self.conv(x)))), "first": -x}


@dataclass(frozen=True, kw_only=True)
class OwnModel(Model):
    def build(self, in_channels, rngs):
        return Own(in_channels, rngs)


@pytest.mark.parametrize(
    "model", [OwnModel(), ShallowCNN(channels=(4,), kernel_sizes=(3,))], ids=["own", "shallow"]
)
def test_observed_norms_see_all_images(monkeypatch, model):
    """They leave moments behind, of each image."""
    network = build_network(model, Linear(), (6, 5, 3), ("a", "b"), nnx.Rngs(0))
    graphdef, state = nnx.split(network)

    def moments(state, x):
        made = nnx.merge(graphdef, state)
        made.set_attributes(observed=True)
        made(x)
        return jax.tree.leaves(nnx.state(made.backbone, nnx.Intermediate))

    monkeypatch.setattr("jaxlab.heads.network.by_size", lambda seen: 2)
    with jax.numpy_rank_promotion("allow"):  # as users have it
        (found,) = jax.jit(moments)(state, IMAGES)
    assert found.shape == (2, 8, 4)


def test_a_backbones_layers_keep_their_order(monkeypatch):
    network = build_network(OwnModel(), Linear(), (6, 5, 3), ("a",), nnx.Rngs(0))
    monkeypatch.setattr("jaxlab.heads.network.by_size", lambda seen: 2)
    found = network._features(jnp.asarray(IMAGES), Mode())
    assert list(found) == ["last", "first"]
    np.testing.assert_allclose(found["last"], network.backbone(IMAGES, Mode())["last"], rtol=1e-5, atol=1e-6)
