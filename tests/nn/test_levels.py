"""A level in training, a few images at a time: the features, gradients and statistics of all at once."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxlab.core.rng import initial_rngs
from jaxlab.core.types import EVALUATION, Mode
from jaxlab.models import shallow_cnn
from jaxlab.models.shallow_cnn import ShallowCNN
from jaxlab.nn.cpu import levels, switched, turns
from jaxlab.nn.layers import conv
from jaxlab.nn.spread import rows_over

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(1.0, 2.0, size=(8, 12, 10, 3)).astype(np.float32)
TWO = 2 * 12 * 10 * 8 * 4  # bytes of the first level's maps of two images; the second level's are smaller
CONFIG = ShallowCNN(channels=(8, 6), kernel_sizes=(5, 3))
TRAINING = Mode(train=True)


@pytest.fixture
def parts(monkeypatch):
    """In how many parts levels went: an entry for each that did."""
    found, plain = [], levels.convolved
    monkeypatch.setattr(
        shallow_cnn, "convolved", lambda conv, x, parts: (found.append(parts), plain(conv, x, parts))[1]
    )
    return found


def small_cache(monkeypatch):
    monkeypatch.setattr(turns, "CACHED", TWO)
    monkeypatch.setattr(turns, "SHARED", 0)


def passed(images=IMAGES, mode=TRAINING):
    """Features, batch statistics after them, and the gradients of parameters and images."""
    graphdef, params, stats = nnx.split(CONFIG.build(3, initial_rngs(0)), nnx.Param, nnx.BatchStat)

    def loss(params, images):
        module = nnx.merge(graphdef, params, stats, copy=True)
        found = module(images, mode)
        told = sum(k * jnp.sin(leaf).sum() for k, leaf in enumerate(found.values(), 1))
        return told, (found, nnx.state(module, nnx.BatchStat))

    return jax.tree.leaves(jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))(params, images))


def equal(one, other):
    for found, expected in zip(one, other, strict=True):
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.parametrize("mode", [TRAINING, Mode(momentum=np.float32(0.5))], ids=["training", "measuring"])
def test_everything_is_as_at_once(monkeypatch, parts, mode):
    whole = passed(mode=mode)
    assert parts == []
    small_cache(monkeypatch)
    equal(passed(mode=mode), whole)
    assert parts == [4]


def test_on_two_devices_as_on_one(monkeypatch, parts):
    """Statistics are of both devices' images, which each goes through a few at a time."""
    graphdef, params, stats = nnx.split(CONFIG.build(3, initial_rngs(0)), nnx.Param, nnx.BatchStat)

    def gradient(params, images):
        def loss(params):
            module = nnx.merge(graphdef, params, stats, copy=True)
            found = module(images, Mode(train=True, axis_name="batch"))
            return jnp.sin(found["level2"]).sum(), nnx.state(module, nnx.BatchStat)

        found, after = jax.grad(loss, has_aux=True)(params)
        return jax.lax.psum(found, "batch"), after

    def both():
        halves = IMAGES.reshape(2, 4, *IMAGES.shape[1:])
        made = jax.pmap(
            partial(gradient), "batch", in_axes=(None, 0), out_axes=None, devices=jax.devices()[:2]
        )
        return jax.tree.leaves(made(params, halves))

    whole = both()
    small_cache(monkeypatch)
    equal(both(), whole)
    assert parts == [2]


def test_elsewhere_levels_are_as_they_are(monkeypatch, parts):
    small_cache(monkeypatch)
    with switched(False):
        passed()
    with rows_over(2):  # each part's gradient would be summed over the devices
        passed()
    passed(mode=EVALUATION)
    assert parts == []


def test_moments_are_those_of_each_image():
    made = conv(3, 8, 5, rngs=nnx.Rngs(0))
    found = levels.convolved(made, IMAGES, 4)
    np.testing.assert_allclose(found.maps, made(IMAGES), rtol=1e-5, atol=1e-5)
    maps = np.asarray(found.maps, np.float64)
    np.testing.assert_allclose(found.means, maps.mean((1, 2)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.variances, maps.var((1, 2)), rtol=1e-4)


def test_what_is_computed_again_has_the_same_gradients():
    """By hand, of w tanh(x) + b: the gradient of x is w (1 - tanh^2)."""
    w, b, rows = np.float32([2, -1, 0.5]), np.float32([1, 0, 3]), RNG.normal(size=(6, 3)).astype(np.float32)

    def call(w, b, rows):
        return w[None] * jnp.tanh(rows) + b[None]

    found, pull = jax.vjp(lambda *given: levels.again(call, given[:2], given[2], 3), w, b, rows)
    upon = RNG.normal(size=(6, 3)).astype(np.float32)
    tanh = np.tanh(rows)
    np.testing.assert_allclose(found, w * tanh + b, rtol=1e-5)
    for one, expected in zip(
        pull(upon), [(upon * tanh).sum(0), upon.sum(0), upon * w * (1 - tanh**2)], strict=True
    ):
        np.testing.assert_allclose(one, expected, rtol=1e-4, atol=1e-6)
