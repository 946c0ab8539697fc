"""The readout that looks at one position (Lurz et al. 2021, "Generalization in data-driven models ...")."""

import functools
from dataclasses import dataclass
from itertools import product
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.core.types import Mode, UserError
from jaxlab.heads.base import Part, SpatialReadout, check_penalties
from jaxlab.heads.chunks import over_targets


@dataclass(frozen=True, kw_only=True)
class Gaussian(SpatialReadout):
    """For each target a position on the map, and a weight for each channel there.

    In training each image is read at a position drawn from the target's own Gaussian, whose mean and covariance are
    learned; in evaluation at its mean. Defaults, bilinear sampling and bounds are those of neuralpredictors'
    FullGaussian2d: -1 and 1 are the centres of the outermost values (align_corners=True), and positions beyond are
    moved there, so that padding plays no part.

    covariance: "full", or "isotropic" with one standard deviation a target.
    init_mu_range: means start uniformly in +-init_mu_range. init_sigma: the entries of the covariance's square
        root start uniformly in +-init_sigma; an isotropic standard deviation starts as init_sigma.
    l1: what the L1 norm of a target's weights adds to the loss, averaged over targets.
    """

    undecayed: ClassVar[tuple[str, ...]] = ("mu", "sigma")

    covariance: Literal["full", "isotropic"] = "full"
    init_mu_range: float = 0.1
    init_sigma: float = 1.0
    l1: float = 0.0

    def check(self) -> None:
        super().check()
        check_penalties(self, "l1")
        if not 0 <= self.init_mu_range <= 1:
            raise UserError(f"Gaussian.init_mu_range: expected 0 to 1, found {self.init_mu_range}")
        if self.init_sigma <= 0:
            raise UserError(f"Gaussian.init_sigma: expected more than 0, found {self.init_sigma}")

    def part(self, shape: tuple[int, ...], targets: int, rngs: nnx.Rngs) -> "GaussianPart":
        return GaussianPart(self, shape, targets, rngs)


class GaussianPart(Part):
    """mu (t, 2): the mean position as (y, x) in -1..1. sigma (t, 2, 2): the square root of the covariance, or (t, 1)
    the standard deviation. weight (t, c)."""

    def __init__(self, config: Gaussian, shape: tuple[int, ...], targets: int, rngs: nnx.Rngs):
        channels, most = shape[-1], config.init_mu_range
        self.mu = nnx.Param(jax.random.uniform(rngs.params(), (targets, 2), minval=-most, maxval=most))
        if config.covariance == "full":
            spread = jax.random.uniform(rngs.params(), (targets, 2, 2), minval=-1, maxval=1)
        else:
            spread = jnp.ones((targets, 1))
        self.sigma = nnx.Param(config.init_sigma * spread)
        self.weight = nnx.Param(jnp.full((targets, channels), 1 / channels))
        self.l1 = config.l1

    def __call__(self, x: Float[Array, "b h w c"], mode: Mode) -> Float[Array, "b t"]:
        def read(positions: Float[Array, "t b 2"], weight: Float[Array, "t c"]) -> Float[Array, "t b"]:
            terms = (
                share * jnp.einsum("tbc,tc->tb", values, weight) for share, values in corners(x, positions)
            )
            return functools.reduce(jnp.add, terms)

        rows, channels = len(x), x.shape[-1]
        return over_targets(read, (self.positions(rows, mode), self.weight[...]), rows * channels)

    def positions(self, rows: int, mode: Mode) -> Float[Array, "t b 2"]:
        """Where each image is read for each target: drawn from the image's own key in training, else the mean."""
        mu, sigma = (leaf[...].astype(jnp.float32) for leaf in (self.mu, self.sigma))
        mu = onto_map(mu)[:, None]
        if not mode.train:
            return jnp.repeat(mu, rows, axis=1)
        if mode.row_keys is None:
            raise ValueError("a Gaussian readout in training needs Mode.row_keys")
        keys = jax.vmap(jax.random.fold_in, (0, None))(mode.row_keys, 1)  # 0 is the dropout's
        noise = jax.vmap(lambda key: jax.random.normal(key, (len(mu), 2)), out_axes=1)(keys)
        drawn = jnp.einsum("tij,tbj->tbi", sigma, noise) if sigma.ndim == 3 else sigma[..., None] * noise
        return jnp.clip(mu + drawn, -1, 1)

    def penalty(self) -> Float[Array, ""]:
        return self.l1 * jnp.abs(self.weight[...]).sum() / len(self.weight)


def corners(
    x: Float[Array, "b h w c"], positions: Float[Array, "t b 2"]
) -> list[tuple[Float[Array, "t b"], Float[Array, "t b c"]]]:
    """The four values around each position and their shares in its bilinear interpolation."""
    rows, height, width, channels = x.shape
    flat = x.reshape(rows, height * width, channels)
    (top, below), (left, right) = (
        _neighbours(positions[..., axis], size) for axis, size in ((0, height), (1, width))
    )
    found = []
    for (y, share_y), (x_, share_x) in product((top, below), (left, right)):
        values = jax.vmap(lambda image, at: image.at[at].get(mode="promise_in_bounds"), (0, 1), 1)(
            flat, y * width + x_
        )
        found.append(((share_y * share_x).astype(x.dtype), values))
    return found


def _neighbours(position: Array, size: int) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """(index, share) of the values before and after positions in -1..1 along an axis of `size` values."""
    at = (position + 1) * (0.5 * (size - 1))
    before = jnp.clip(jnp.floor(at), 0, max(size - 2, 0))
    index, share = before.astype(jnp.int32), at - before
    return (index, 1 - share), (jnp.minimum(index + 1, size - 1), share)


@jax.custom_vjp
def onto_map(mu: Array) -> Array:
    """`mu` within -1..1. The gradient leads back onto the map but never further off it, as if the parameter itself
    had been moved there; that of a plain clip is zero outside, which would hold a mean there for good."""
    return jnp.clip(mu, -1, 1)


def _forward(mu: Array) -> tuple[Array, Array]:
    return onto_map(mu), mu


def _backward(mu: Array, slope: Array) -> tuple[Array]:
    outwards = ((mu > 1) & (slope < 0)) | ((mu < -1) & (slope > 0))
    return (jnp.where(outwards, 0, slope),)


onto_map.defvjp(_forward, _backward)
