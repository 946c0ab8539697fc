"""What each target of a retina map selects: learned by itself, or predicted from where it lies on the cortex."""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.heads.coordinates import AXES, read_coordinates
from jaxlab.heads.gaussian import onto_map
from jaxlab.nn.layers import gelu

HIDDEN = 128
FREQUENCIES, PERIODS = 32, 1000.0  # of the coordinates' sines
_NEAR = 0.1  # the map's centre, at first


class Selection(NamedTuple):
    """position (t, 2): (y, x), -1 and 1 the map's edges. layers (t, l): shares, of sum 1. pooled (t,): the share of the
    mean over positions. All float32."""

    position: Float[Array, "t 2"]
    layers: Float[Array, "t l"]
    pooled: Float[Array, " t"]


class LearnedPlaces(nnx.Module):
    """mu (t, 2): positions, at first near the centre. select (t, l): logits of the layers. share (t,): of pooling."""

    def __init__(self, layers: int, targets: int, rngs: nnx.Rngs):
        self.mu = nnx.Param(jax.random.uniform(rngs.params(), (targets, 2), minval=-_NEAR, maxval=_NEAR))
        self.select = nnx.Param(jnp.zeros((targets, layers)))
        self.share = nnx.Param(jnp.zeros(targets))

    def __call__(self) -> Selection:
        mu, select, share = (leaf[...].astype(jnp.float32) for leaf in (self.mu, self.select, self.share))
        return Selection(onto_map(mu), jax.nn.softmax(select), jax.nn.sigmoid(share))


class PredictedPlaces(nnx.Module):
    """Three small networks of the targets' coordinates; at first all look at the centre, at all layers alike."""

    def __init__(self, path: Path, layers: int, targets: tuple[str, ...], rngs: nnx.Rngs):
        self.coordinates = Coordinates(path, targets)
        self.mu, self.select, self.share = (Perceptron(size, rngs) for size in (2, layers, 1))

    def __call__(self) -> Selection:
        waves = self.coordinates()
        mu, select, share = (net(waves).astype(jnp.float32) for net in (self.mu, self.select, self.share))
        return Selection(jnp.tanh(mu), jax.nn.softmax(select), jax.nn.sigmoid(share[:, 0]))


class Coordinates(nnx.Module):
    """values (t, 3): kept with the parameters, so that the file is read once, when these are made."""

    def __init__(self, path: Path, targets: tuple[str, ...]):
        shape = jax.ShapeDtypeStruct((len(targets), AXES), jnp.float32)
        # Not while shapes are traced: a trained network is predicted with where there is no such file.
        self.values = nnx.BatchStat(jax.pure_callback(lambda: read_coordinates(path, targets), shape))

    def __call__(self) -> Float[Array, "t f"]:
        """Sines and cosines of each axis, from one radian a step down to a thousandth."""
        frequencies = PERIODS ** (-np.arange(FREQUENCIES) / FREQUENCIES)
        angles = self.values[...][..., None] * frequencies.astype(np.float32)[None, None]
        return jnp.stack([jnp.sin(angles), jnp.cos(angles)], -1).reshape(len(angles), -1)


class Perceptron(nnx.Module):
    """Two hidden layers; its outputs are 0 at first."""

    def __init__(self, outputs: int, rngs: nnx.Rngs):
        self.first = nnx.Linear(2 * AXES * FREQUENCIES, HIDDEN, rngs=rngs)
        self.second = nnx.Linear(HIDDEN, HIDDEN, rngs=rngs)
        self.last = nnx.Param(jnp.zeros((HIDDEN, outputs)))

    def __call__(self, x: Float[Array, "t f"]) -> Float[Array, "t o"]:
        return gelu(self.second(gelu(self.first(x)))) @ self.last[...]
