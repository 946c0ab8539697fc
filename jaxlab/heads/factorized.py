"""The readout that factorizes into where and what (Klindt et al. 2017, "Neural system identification ...")."""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.core.types import Mode
from jaxlab.heads.base import Part, SpatialReadout, check_penalties
from jaxlab.heads.chunks import over_targets


@dataclass(frozen=True, kw_only=True)
class Factorized(SpatialReadout):
    """For each target a mask over positions p and a weight for each channel c, shared by all positions.

    y_t = b_t + sum_pc mask_tp x_pc weight_tc (Klindt et al. 2017, eq. 3).
    l1_mask, l1_weight: what the L1 norm of a target's mask and of its weights adds to the loss, averaged over
        targets. Either alone shrinks little: the other factor can grow instead.
    """

    l1_mask: float = 0.0
    l1_weight: float = 0.0

    def check(self) -> None:
        super().check()
        check_penalties(self, "l1_mask", "l1_weight")

    def part(self, shape: tuple[int, ...], targets: int, rngs: nnx.Rngs) -> "FactorizedPart":
        return FactorizedPart(self, shape, targets, rngs)


class FactorizedPart(Part):
    """mask (t, h, w): at first the mean over positions. weight (t, c): small noise, so that outputs are small but both
    factors learn. Adam's steps are of one size in all parameters: values as small as those of a mean let a mask take
    shape in tens of updates, where one of norm 1 needs hundreds.
    """

    def __init__(self, config: Factorized, shape: tuple[int, ...], targets: int, rngs: nnx.Rngs):
        height, width, channels = shape
        small = 0.01 / math.sqrt(channels)
        self.mask = nnx.Param(jnp.full((targets, height, width), 1 / (height * width)))
        self.weight = nnx.Param(small * jax.random.normal(rngs.params(), (targets, channels)))
        self.l1 = (config.l1_mask, config.l1_weight)

    def __call__(self, x: Float[Array, "b h w c"], mode: Mode) -> Float[Array, "b t"]:
        rows, height, width, channels = x.shape
        positions = height * width
        flat = x.reshape(rows, positions, channels)

        def read(mask: Float[Array, "t h w"], weight: Float[Array, "t c"]) -> Float[Array, "t b"]:
            """Sums over positions or channels first, whichever leaves less."""
            mask = mask.reshape(-1, positions)
            if channels <= positions:
                return jnp.einsum("tbc,tc->tb", jnp.einsum("bpc,tp->tbc", flat, mask), weight)
            return jnp.einsum("tbp,tp->tb", jnp.einsum("bpc,tc->tbp", flat, weight), mask)

        return over_targets(read, (self.mask[...], self.weight[...]), rows * min(positions, channels))

    def penalty(self) -> Float[Array, ""]:
        terms = zip(self.l1, (self.mask, self.weight), strict=True)
        return sum((l1 * jnp.abs(leaf[...]).sum() / len(leaf) for l1, leaf in terms if l1), jnp.zeros(()))
