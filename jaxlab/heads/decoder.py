"""From features back to an image, level by level."""

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.core.types import Mode, UserError
from jaxlab.heads.base import FeatureMaps, FeatureShapes, Head, HeadModule
from jaxlab.nn.layers import conv, gelu
from jaxlab.nn.norm import BatchNorm

_LAST = re.compile(r"y(\d+)x(\d+)c(\d+)")  # the name of an image's last value


@dataclass(frozen=True, kw_only=True)
class Decoder(Head):
    """The decoder of an autoencoder: an image's values from one layer, whose map grows to the image in equal steps.

    A level enlarges the map (each pixel from its nearest one), convolves 3 x 3, normalises and bends it by GELU; a
    last convolution makes the colours. Its targets are an image's values, as `Masked` and `Reconstruction` ask for.

    layer: default the network's last that has a height and width; a vector, as "pool", is spread to `start` x `start`.
    channels: of each level, the deepest first; as many levels as entries.
    bottleneck: so many numbers are all that passes from encoder to decoder. None: the whole layer does.
    norm: "batch" or "none". start: side of the first map where it is made from a vector.
    """

    layer: str | None = None
    channels: tuple[int, ...] = (64, 32)
    bottleneck: int | None = None
    norm: Literal["batch", "none"] = "batch"
    start: int = 4

    def check(self) -> None:
        if not self.channels or min(self.channels) < 1:
            raise UserError(
                f"Decoder.channels: expected one level or more of 1 channel or more, found {self.channels}"
            )
        if self.bottleneck is not None and self.bottleneck < 1:
            raise UserError(f"Decoder.bottleneck: expected 1 or more, found {self.bottleneck}")
        if self.start < 1:
            raise UserError(f"Decoder.start: expected 1 or more, found {self.start}")

    def build(self, features: FeatureShapes, targets: tuple[str, ...], rngs: nnx.Rngs) -> "DecoderModule":
        return DecoderModule(self, self._layer(features), features, image_shape(targets), rngs)

    def _layer(self, features: FeatureShapes) -> str:
        maps = [name for name, leaf in features.items() if len(leaf.shape) == 4]
        name = self.layer or (maps or list(features))[-1]
        if name not in features:
            raise UserError(f"Decoder.layer: the model has no layer {name!r}; it has {', '.join(features)}")
        if len(features[name].shape) not in (2, 4):
            raise UserError(
                f"Decoder.layer: expected a map (h, w, c) or a vector, found {name} of {features[name].shape[1:]}; "
                f"maps are {', '.join(maps)}"
            )
        return name


class DecoderModule(HeadModule):
    """(b, h * w * c), rows first, of the layer `name`."""

    def __init__(
        self,
        config: Decoder,
        name: str,
        features: FeatureShapes,
        shape: tuple[int, int, int],
        rngs: nnx.Rngs,
    ):
        seen = tuple(features[name].shape[1:])
        first = seen if len(seen) == 3 else (config.start, config.start, config.channels[0])
        self.name, self.first = name, first
        width, narrow = int(np.prod(seen)), config.bottleneck
        self.code = None if narrow is None else nnx.Linear(width, narrow, rngs=rngs)
        spread = narrow is not None or len(seen) == 1
        self.spread = nnx.Linear(narrow or width, int(np.prod(first)), rngs=rngs) if spread else None
        widths = (first[2], *config.channels)
        self.sizes = sizes(first[:2], shape[:2], len(config.channels))
        self.convs = nnx.List(conv(a, b, 3, rngs=rngs) for a, b in pairwise(widths))
        self.norms = nnx.List(BatchNorm(width) for width in config.channels if config.norm == "batch")
        self.colours = conv(widths[-1], shape[2], 3, bias=True, rngs=rngs)
        self.colours.kernel[...] = jnp.zeros_like(self.colours.kernel[...])  # the mean colour at first

    def __call__(self, features: FeatureMaps, mode: Mode) -> Float[Array, "b t"]:
        x = features[self.name]
        if self.code is not None:
            x = self.code(x.reshape(len(x), -1))
        if self.spread is not None:
            x = self.spread(x.reshape(len(x), -1)).reshape(len(x), *self.first)
        for number, (convolve, size) in enumerate(zip(self.convs, self.sizes, strict=True)):
            x = convolve(jax.image.resize(x, (len(x), *size, x.shape[-1]), "nearest"))
            x = gelu(self.norms[number](x, mode) if self.norms else x)
        return self.colours(x).reshape(len(x), -1)


def sizes(first: tuple[int, int], last: tuple[int, int], levels: int) -> tuple[tuple[int, int], ...]:
    """Heights and widths of each level's map: equal factors from `first` (left out) to `last`."""
    return tuple(
        (
            round(first[0] * (last[0] / first[0]) ** (level / levels)),
            round(first[1] * (last[1] / first[1]) ** (level / levels)),
        )
        for level in range(1, levels + 1)
    )


def image_shape(targets: tuple[str, ...]) -> tuple[int, int, int]:
    """(h, w, c) of an image whose values have these names. Raises UserError for other targets."""
    found = _LAST.fullmatch(targets[-1])
    shape = tuple(int(part) + 1 for part in found.groups()) if found else ()
    if len(shape) != 3 or int(np.prod(shape)) != len(targets):
        raise UserError(
            f"Decoder: makes images, for pretext=Masked() or Reconstruction(); expected their values as targets, found "
            f"{len(targets)} ({targets[-1]})"
        )
    return shape[0], shape[1], shape[2]
