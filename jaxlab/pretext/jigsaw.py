"""Tiles out of order."""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from jaxlab.core.types import Kind, UserError
from jaxlab.pretext.base import Image, Pretext

_SMALLEST = 4  # pixels of a tile's side
_CANDIDATES = 4000  # permutations that each further one is chosen among, of 9! ones
_EPS = 1e-4  # added to a tile's standard deviation, so that an even tile stays 0


@dataclass(frozen=True, kw_only=True)
class Jigsaw(Pretext):
    """Which of a set of permutations an image's tiles were put in (Noroozi & Favaro 2016; assembled, Carlucci 2019).

    Against shortcuts, as in the paper: of each tile a part is cut out at random, so that edges do not continue, and is
    given mean 0 and standard deviation 1; gaps between tiles are 0.

    grid: tiles along each side, 2 or 3. Pixels that are left over on the right and below are 0.
    permutations: how many, of the largest Hamming distances from one another; at most 24 of 2 x 2 tiles.
    gap: share of a tile's side that is left out of it.
    """

    kind: ClassVar[Kind] = "classification"
    grid: int = 3
    permutations: int = 64
    gap: float = 0.15

    def check(self) -> None:
        if self.grid not in (2, 3):
            raise UserError(f"Jigsaw.grid: expected 2 or 3 tiles along a side, found {self.grid}")
        most = 24 if self.grid == 2 else 1000
        if not 2 <= self.permutations <= most:
            raise UserError(
                f"Jigsaw.permutations: expected 2 to {most} of {self.grid} x {self.grid} tiles, found "
                f"{self.permutations}"
            )
        if not 0 <= self.gap < 1:
            raise UserError(f"Jigsaw.gap: expected a share in [0, 1), found {self.gap}")

    def targets(self, shape: tuple[int, int, int]) -> tuple[str, ...]:
        height, width, _ = shape
        if min(height // self.grid, width // self.grid) * (1 - self.gap) < _SMALLEST:
            least = math.ceil(_SMALLEST / (1 - self.gap)) * self.grid
            raise UserError(
                f"Jigsaw.grid: {self.grid} x {self.grid} tiles of {_SMALLEST} pixels or more, beside their gaps, need "
                f"images of {least} x {least}, found {height} x {width} (images.size)"
            )
        return tuple("".join(map(str, order)) for order in orders(self.grid**2, self.permutations).tolist())

    def __call__(self, image: Image, key: Key[Array, ""]) -> tuple[Image, Array]:
        height, width, channels = image.shape
        side = (height // self.grid, width // self.grid)
        inner = tuple(max(round(length * (1 - self.gap)), 1) for length in side)
        choice, place = jax.random.split(key)
        which = jax.random.randint(choice, (), 0, self.permutations)
        whole = image[: self.grid * side[0], : self.grid * side[1]]
        tiles = whole.reshape(self.grid, side[0], self.grid, side[1], channels).transpose(0, 2, 1, 3, 4)
        tiles = tiles.reshape(self.grid**2, *side, channels)

        def part(tile: Array, key: Array) -> Array:
            room = jnp.array([side[k] - inner[k] + 1 for k in range(2)])
            first = jax.random.randint(key, (2,), 0, room)
            cut = jax.lax.dynamic_slice(tile, (first[0], first[1], 0), (*inner, channels))
            cut = (cut - cut.mean()) / (cut.std() + _EPS)
            before = [(side[k] - inner[k]) // 2 for k in range(2)]
            around = [(before[k], side[k] - inner[k] - before[k]) for k in range(2)]
            return jnp.pad(cut, (*around, (0, 0)))

        parts = jax.vmap(part)(tiles, jax.random.split(place, len(tiles)))
        parts = parts[jnp.asarray(orders(self.grid**2, self.permutations))[which]]
        rows = parts.reshape(self.grid, self.grid, *side, channels).transpose(0, 2, 1, 3, 4)
        left = ((0, height - whole.shape[0]), (0, width - whole.shape[1]), (0, 0))
        return jnp.pad(rows.reshape(whole.shape), left), which.astype(jnp.int32)


@lru_cache(maxsize=8)
def orders(tiles: int, count: int) -> np.ndarray:
    """(count, tiles) permutations: each further one is the farthest, in Hamming distance, from those before it.

    As the paper's algorithm 1 with "maximal"; among 9! ones a fixed draw of 4,000 is looked at.
    """
    rng = np.random.default_rng(0)
    if tiles <= 4:
        candidates = np.array(list(permutations(range(tiles))))
    else:
        candidates = np.array([rng.permutation(tiles) for _ in range(_CANDIDATES)])
    chosen = [np.arange(tiles)]
    distance = (candidates != chosen[0][None]).sum(1)
    while len(chosen) < count:
        best = candidates[distance.argmax()]
        chosen.append(best)
        distance = np.minimum(distance, (candidates != best[None]).sum(1))
    return np.stack(chosen)
