"""No network, or next to none: the batch holds features already."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flax import nnx
from jaxtyping import Array

from jaxlab.core.config import LATER
from jaxlab.core.types import Mode
from jaxlab.models.base import Model
from jaxlab.models.fusion import Fusion, FusionModule, with_fused


@dataclass(frozen=True, kw_only=True)
class Features(Model):
    """Cached features by layer, as `data=CachedFeatures(...)` has them; what trains is a head on top.

    fusion: of an image's layer and a question's, which trains too; heads find it as their last layer, "fused".
    """

    fusion: Fusion | None = field(default=None, metadata=LATER)

    def build(self, in_channels: int | Mapping[str, tuple[int, ...]], rngs: nnx.Rngs) -> "FeaturesModule":
        """in_channels: the layers' shapes by name, in order."""
        shapes = {} if isinstance(in_channels, int) else in_channels
        return FeaturesModule(tuple(shapes), None if self.fusion is None else self.fusion.build(shapes, rngs))


class FeaturesModule(nnx.Module):
    """Features in the order of `layers`, and "fused" behind them where there is a fusion."""

    def __init__(self, layers: tuple[str, ...], fusion: FusionModule | None = None):
        self.layers = layers
        self.fusion = fusion

    def __call__(self, features: Mapping[str, Array], mode: Mode) -> dict[str, Array]:
        return with_fused({layer: features[layer] for layer in self.layers}, self.fusion, mode)
