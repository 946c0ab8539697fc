"""Images that were stored as floats, as the grey levels 0 to 255 that they came from."""

import numpy as np

from jaxlab.core.types import UserError

_ROUNDING = 0.01  # of a level: what float32 arithmetic leaves, far below the half that rounding needs
_LOOKS = 32


def looked_at(count: int) -> np.ndarray:
    """Positions of up to 32 of `count` images, from first to last: their range and levels tell how all are stored."""
    return np.unique(np.linspace(0, count - 1, _LOOKS).astype(int))


def are_whole(levels: np.ndarray) -> bool:
    """Whether every level is a whole number, up to the rounding of float32."""
    return bool((np.abs(levels - np.rint(levels)) <= _ROUNDING).all())


def from_levels(levels: np.ndarray, whole: bool, name: str) -> np.ndarray:
    """Levels (h, w, c) as an image: uint8 where they are whole numbers, else float32 in 0 to 1.

    whole: what the source's first images are, so that all have one dtype.
    Raises UserError that names the image for levels outside 0 to 255, or fractions among whole ones.
    """
    if not ((levels > -0.5) & (levels < 255.5)).all():  # NaN compares false
        raise UserError(f"{name}: expected levels 0 to 255, found {levels.min():.4g} to {levels.max():.4g}")
    if not whole:
        return (levels / 255).astype(np.float32)
    if not are_whole(levels):
        raise UserError(f"{name}: expected whole levels as the other images have, found fractions")
    return np.rint(levels).astype(np.uint8)
