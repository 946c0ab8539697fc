"""Position embeddings: those of one grid made to fit another by PyTorch's bicubic resampling, and fixed waves."""

import math
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Matrix = Callable[[int, int], np.ndarray]  # (old, new) -> (new, old) weights along one axis


def resized(positions: Float[Array, "1 n d"], grid: tuple[int, int], matrix: Matrix) -> Float[Array, "1 m d"]:
    """`positions` of a square grid, rows first, at `grid` (rows, columns); computed in float32."""
    side = round(positions.shape[1] ** 0.5)
    if grid == (side, side):
        return positions
    down, across = (jnp.asarray(matrix(side, size)) for size in grid)
    square = positions.reshape(side, side, -1).astype(jnp.float32)
    new = jnp.einsum("ir,jc,rcd->ijd", down, across, square, precision="highest")
    return new.reshape(1, grid[0] * grid[1], -1).astype(positions.dtype)


def antialiased(old: int, new: int) -> Float[np.ndarray, "{new} {old}"]:
    """`interpolate(mode="bicubic", antialias=True)`: Keys' kernel with a = -0.5, widened where the grid shrinks."""
    scale = old / new
    centres = (np.arange(new) + 0.5) * scale
    distances = (np.arange(old)[None] + 0.5 - centres[:, None]) / max(scale, 1.0)
    weights = _keys(distances, -0.5)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def interpolated(old: int, new: int, offset: float = 0.0) -> Float[np.ndarray, "{new} {old}"]:
    """`interpolate(mode="bicubic")`: Keys' kernel with a = -0.75 on four neighbours, the border repeated.

    offset: added to `new` in the scale alone, as DINO does lest a size be rounded down.
    """
    return _bicubic((np.arange(new) + 0.5) * (old / (new + offset)) - 0.5, old)


def aligned(old: int, new: int) -> Float[np.ndarray, "{new} {old}"]:
    """`interpolate(mode="bicubic", align_corners=True)`: the outermost stay where they are."""
    return _bicubic(np.arange(new) * ((old - 1) / max(new - 1, 1)), old)


def _bicubic(centres: np.ndarray, old: int) -> np.ndarray:
    """Weights of values at `centres`, in samples: Keys' kernel with a = -0.75 on four, the border repeated."""
    neighbours = np.floor(centres)[:, None] + np.arange(-1, 3)[None]
    weights = np.zeros((len(centres), old))
    columns = np.clip(neighbours, 0, old - 1).astype(int)
    np.add.at(
        weights, (np.arange(len(centres))[:, None], columns), _keys(centres[:, None] - neighbours, -0.75)
    )
    return weights.astype(np.float32)


def _keys(x: np.ndarray, a: float) -> np.ndarray:
    """Cubic convolution, 0 from two samples on (Keys 1981, eq. 4)."""
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def sines(sizes: list[int], width: int) -> Float[np.ndarray, "n d"]:
    """Of rows and columns, half of the channels each: sines and cosines of 2 pi times how far along the axis a position
    lies, slowed down by up to 10,000 (Carion et al. 2020, "End-to-end object detection ...", as its code has them)."""
    rows, columns = (*sizes, 1)[:2]
    along = [2 * math.pi * (np.arange(size) + 1) / size for size in (rows, columns)]
    slower = 10_000.0 ** (-np.arange(width // 4) / (width // 4))
    waves = [np.concatenate([f(axis[:, None] * slower[None]) for f in (np.sin, np.cos)], 1) for axis in along]
    half = width // 2
    y = np.broadcast_to(waves[0][:, None], (rows, columns, half))
    x = np.broadcast_to(waves[1][None], (rows, columns, half))
    return np.concatenate([y, x], -1).reshape(-1, width).astype(np.float32)
