"""No network at all: the batch holds features already."""

from collections.abc import Mapping
from dataclasses import dataclass

from flax import nnx
from jaxtyping import Array

from jaxlab.core.types import Mode
from jaxlab.models.base import Model


@dataclass(frozen=True, kw_only=True)
class Features(Model):
    """Cached features by layer, as `data=CachedFeatures(...)` has them; a head on top is all that trains."""

    def build(self, in_channels: int | tuple[str, ...], rngs: nnx.Rngs) -> "FeaturesModule":
        """in_channels: the layers' names, in order."""
        return FeaturesModule(in_channels if isinstance(in_channels, tuple) else ())


class FeaturesModule(nnx.Module):
    """Features in the order of `layers`."""

    def __init__(self, layers: tuple[str, ...]):
        self.layers = layers

    def __call__(self, features: Mapping[str, Array], mode: Mode) -> dict[str, Array]:
        return {layer: features[layer] for layer in self.layers}
