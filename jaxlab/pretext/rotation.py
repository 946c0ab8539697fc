"""Which way up."""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from jaxlab.core.types import Kind, UserError
from jaxlab.pretext.base import Image, Pretext

TURNS = ("0", "90", "180", "270")


@dataclass(frozen=True, kw_only=True)
class Rotation(Pretext):
    """By how many degrees an image was turned, anticlockwise (Gidaris, Singh & Komodakis 2018).

    For images that have an upright: of textures or galaxies nothing can be learned so. Images are square.
    """

    kind: ClassVar[Kind] = "classification"
    upright: ClassVar[bool] = True

    def targets(self, shape: tuple[int, int, int]) -> tuple[str, ...]:
        height, width, _ = shape
        if height != width:
            raise UserError(
                f"Rotation: expected square images, which a quarter turn leaves so, found {height} x {width} pixels; "
                f"set images.size={min(height, width)},{min(height, width)}"
            )
        return TURNS

    def __call__(self, image: Image, key: Key[Array, ""]) -> tuple[Image, Array]:
        turn = jax.random.randint(key, (), 0, len(TURNS))
        turned = jnp.stack([jnp.rot90(image, k) for k in range(len(TURNS))])
        return turned[turn], turn.astype(jnp.int32)
