"""The readout that looks at one position of several layers (Yang et al. 2024, "Brain Decodes Deep Nets")."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.core.config import Location
from jaxlab.core.types import Mode, UserError
from jaxlab.heads.base import Fading, FeatureMaps, FeatureShapes, LayersModule, Readout, check_penalties, fork
from jaxlab.heads.chunks import over_targets
from jaxlab.heads.coordinates import read_coordinates
from jaxlab.heads.gaussian import corners, onto_map
from jaxlab.heads.places import LearnedPlaces, PredictedPlaces, Selection
from jaxlab.losses import Ramp, Weight, weight_at


@dataclass(frozen=True, kw_only=True)
class RetinaMap(Readout):
    """For each target a position on the image, a softmax over layers, and how much of it is their mean over positions.

    Every layer is brought to `width` channels twice, by one matrix for what lies at a position, x_l, and by another for
    its mean, m_l: y_t = b_t + w_t . sum_l p_tl ((1 - s_t) x_l(position_t) + s_t m_l), as FactorTopy in the paper. One
    position serves layers of any size; it is read bilinearly, -1 and 1 being the image's edges. A layer without height
    and width, as a class token, is the same everywhere.

    width: channels that all layers are brought to.
    coordinates: a CSV or Parquet file: a column of target names, then one to three of coordinates in any unit, as of
        vertices on a sphere. Positions and shares are then predicted from them by small networks of two hidden layers
        of 128 on their sines and cosines, so that neighbours look at neighbouring places. None: they are learned for
        each target by itself. The file is read when training begins, and what it says is kept in the checkpoints.
    noise: standard deviation of the Gaussian that a position is moved by in training, anew for each image and target;
        half the image is 1 (0.01: Yang et al. 2023, "Memory Encoding Model").
    entropy: how much choosing costs: entropy * (1 - H(p_t) / log l + (s_t - 1/2)^2), averaged over targets, is added to
        the loss. A number, or a `Ramp` over epochs: the paper's 0.1 fades within 2,000 updates.
    """

    undecayed: ClassVar[tuple[str, ...]] = ("mu", "select", "share")

    normalize: bool = True
    width: int = 128
    coordinates: Location | None = None
    noise: float = 0.01
    entropy: Weight = 0.0

    def check(self) -> None:
        super().check()
        check_penalties(self, "noise")
        if not isinstance(self.entropy, Ramp):
            check_penalties(self, "entropy")
        if self.width < 1:
            raise UserError(f"RetinaMap.width: expected 1 or more, found {self.width}")

    def check_targets(self, targets: tuple[str, ...]) -> None:
        if self.coordinates is None:
            return
        try:
            read_coordinates(Path(self.coordinates), targets)
        except UserError as error:
            raise UserError(f"RetinaMap.coordinates: {error}") from None

    def build(self, features: FeatureShapes, targets: tuple[str, ...], rngs: nnx.Rngs) -> "RetinaMapModule":
        return RetinaMapModule(self, self.shapes(features), targets, rngs)

    def _layers(self, features: FeatureShapes) -> tuple[str, ...]:
        names = super()._layers(features)
        ranks = {name: len(shape.shape) for name, shape in features.items()}
        odd = [name for name in names if ranks[name] not in (2, 4)]
        if odd or all(ranks[name] == 2 for name in names):
            spatial = ", ".join(name for name, rank in ranks.items() if rank == 4)
            found = ", ".join(f"{name} {tuple(features[name].shape[1:])}" for name in odd or names)
            raise UserError(
                f"RetinaMap.layer: expected layers with height and width ({spatial or 'the model has none'}), and "
                f"beside them vectors, found {found}"
            )
        return names


class RetinaMapModule(LayersModule, Fading):
    """places: what each target selects. layers: of each its two matrices. weight (t, c)."""

    def __init__(
        self,
        config: RetinaMap,
        shapes: dict[str, tuple[int, ...]],
        targets: tuple[str, ...],
        rngs: nnx.Rngs,
    ):
        super().__init__(tuple(shapes), config.norms(shapes), len(targets), config.dropout)
        self.layers = nnx.Dict(
            {name: Bottleneck(shape[-1], config.width, rngs) for name, shape in shapes.items()}
        )
        path = config.coordinates
        self.places: LearnedPlaces | PredictedPlaces = (
            LearnedPlaces(len(shapes), len(targets), rngs)
            if path is None
            else PredictedPlaces(Path(path), len(shapes), targets, rngs)
        )
        small = 0.01 / math.sqrt(config.width)  # as a factorized readout's
        self.weight = nnx.Param(small * jax.random.normal(rngs.params(), (len(targets), config.width)))
        self.noise = config.noise
        self.entropy = config.entropy

    def __call__(self, features: FeatureMaps, mode: Mode) -> Float[Array, "b t"]:
        read = [self.layers[name](x) for name, x, _ in self.prepared(features, mode)]
        maps, means = [local for local, _ in read], [pooled for _, pooled in read]
        selected = self.places()
        rows, width = means[0].shape

        def outputs(
            places: Float[Array, "t b 2"],
            layers: Float[Array, "t l"],
            share: Float[Array, " t"],
            weight: Float[Array, "t c"],
        ) -> Float[Array, "t b"]:
            found = jnp.zeros((len(weight), rows), weight.dtype)
            for number, (x, mean) in enumerate(zip(maps, means, strict=True)):
                local, pooled = _at(x, places, weight), jnp.einsum("bc,tc->tb", mean, weight)
                mixed = local + share[:, None].astype(local.dtype) * (pooled - local)
                found = found + layers[:, number, None].astype(local.dtype) * mixed
            return found

        leaves = (self.positions(selected, rows, mode), selected.layers, selected.pooled, self.weight[...])
        return self.start + over_targets(outputs, leaves, rows * width * len(maps))

    def positions(self, selected: Selection, rows: int, mode: Mode) -> Float[Array, "t b 2"]:
        """Where each image is read for each target: in training moved by noise of the image's own key."""
        still = jnp.repeat(selected.position[:, None], rows, axis=1)
        if not mode.train or not self.noise:
            return still
        keys = fork(mode, len(self.names)).row_keys  # those below are the layers'
        if keys is None:
            raise ValueError("a RetinaMap readout in training needs Mode.row_keys")
        moved = jax.vmap(lambda key: jax.random.normal(key, (len(still), 2)), out_axes=1)(keys)
        return still + self.noise * moved

    def penalty_at(self, epoch: Float[Array, ""] | float) -> Float[Array, ""]:
        if not self.entropy:
            return jnp.zeros(())
        _, layers, pooled = self.places()
        count = layers.shape[1]
        certain = jnp.square(pooled - 0.5).mean()
        if count > 1:
            logs = jnp.log(jnp.maximum(layers, 1e-8))
            certain = certain + 1 + (layers * logs).sum(1).mean() / math.log(count)
        return weight_at(self.entropy, epoch) * certain


class Bottleneck(nnx.Module):
    """local, pooled (c, width): what a layer's values at a position, and their means, are multiplied by."""

    def __init__(self, channels: int, width: int, rngs: nnx.Rngs):
        init = nnx.initializers.lecun_normal()
        self.local, self.pooled = (nnx.Param(init(rngs.params(), (channels, width))) for _ in range(2))

    def __call__(self, x: Float[Array, "b *hw c"]) -> tuple[Float[Array, "b h w d"], Float[Array, "b d"]]:
        x = x if x.ndim == 4 else x[:, None, None]
        mean = x.mean((1, 2), dtype=jnp.float32).astype(x.dtype)
        return x @ self.local[...], mean @ self.pooled[...]


def _at(
    x: Float[Array, "b h w c"], places: Float[Array, "t b 2"], weight: Float[Array, "t c"]
) -> Float[Array, "t b"]:
    """weight_t . x at places whose -1 and 1 are the map's edges, half a value beyond the outermost values' centres."""
    sizes = x.shape[1:3]
    scale = jnp.array([size / max(size - 1, 1) for size in sizes], jnp.float32)
    inside = onto_map(places * scale[None, None])
    terms = (share * jnp.einsum("tbc,tc->tb", values, weight) for share, values in corners(x, inside))
    return sum(terms, jnp.zeros(places.shape[:2], x.dtype))
