"""What every model family offers."""

from dataclasses import dataclass
from typing import ClassVar

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
    `undecayed`: last names of parameters that weight decay spares though they are no vectors, as positions and tokens.
    """

    of_training: ClassVar[tuple[str, ...]] = ("dropout", "drop_path", "pretrained")

    def build(self, in_channels: int, rngs: nnx.Rngs) -> nnx.Module:
        """A module for (b, h, w, in_channels) images. Trace it: its parameters should be made under jit."""
        raise NotImplementedError
