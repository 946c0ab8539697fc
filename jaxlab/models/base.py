"""What every model family offers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from flax import nnx

from jaxlab.core.config import Component


@dataclass(frozen=True, kw_only=True)
class Model(Component):
    """Base of all model configs.

    A module made by `build` is called `module(images, mode)` and returns its features by layer, stem to last.
    A family whose weights can be loaded has a field `pretrained`: a run directory, a weight file, a folder with one, or
    a hub id. How files name them is said in jaxlab/weights/families.py, or by a class attribute `family` where the
    model is not jaxlab's.
    `of_training`: fields that may differ from those of a run whose parameters are taken: how it trains, not what it is.
    `asks`: whether it sees texts of a column beside images, as `ImageAndText` does.
    `undecayed`: last names of parameters that weight decay spares though they are no vectors, as positions and tokens.
    """

    of_training: ClassVar[tuple[str, ...]] = ("dropout", "drop_path", "pretrained")
    asks: ClassVar[bool] = False

    @property
    def parts(self) -> Mapping[str, Any]:
        """The networks within that may have weights of their own, by the paths of their modules; the image's first."""
        return {"": self}

    def with_parts(self, parts: Mapping[str, Any]) -> Self:
        """The same with others in their places."""
        (part,) = parts.values()
        return part

    def build(self, in_channels: int, rngs: nnx.Rngs) -> nnx.Module:
        """A module for (b, h, w, in_channels) images. Trace it: its parameters should be made under jit."""
        raise NotImplementedError
