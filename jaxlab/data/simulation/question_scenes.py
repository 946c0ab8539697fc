"""Small pictures to ask about: a place, a thing, and a few coloured shapes."""

from dataclasses import dataclass

import numpy as np

from jaxlab.data.simulation.answers import COLOURS, KINDS, NOUNS, PLACES, SHAPES, THINGS, noun_of, shares

MOST = 6  # shapes in a picture
_GRID = 4  # cells of its height and width; the thing takes two by two of them in a corner
_FIXED = 20_230_520  # seeds what nouns, kinds and places look like, the same in all pictures
_RGB = np.array([
    [0.97, 0.97, 0.97], [0.86, 0.10, 0.12], [0.10, 0.25, 0.85], [0.05, 0.05, 0.05], [0.10, 0.62, 0.18],
    [0.95, 0.90, 0.10], [0.97, 0.55, 0.05], [0.52, 0.12, 0.62], [0.98, 0.60, 0.78], [0.50, 0.50, 0.50],
])  # fmt: skip


@dataclass(frozen=True)
class Contents:
    """What n pictures show. place, thing, corner, count: (n,). shape, colour, cell: (n, MOST): `count` are shown."""

    place: np.ndarray
    thing: np.ndarray
    corner: np.ndarray
    count: np.ndarray
    shape: np.ndarray
    colour: np.ndarray
    cell: np.ndarray

    def __len__(self) -> int:
        return len(self.place)

    @property
    def shown(self) -> np.ndarray:
        """(n, MOST) bool."""
        return np.arange(MOST) < self.count[:, None]


def make_contents(n: int, rng: np.random.Generator) -> Contents:
    """Things, places and colours are as unequally frequent as answers to questions are."""
    free = rng.permuted(np.tile(np.arange(_GRID**2 - 4), (n, 1)), axis=1)[:, :MOST]
    return Contents(
        place=rng.choice(len(PLACES), n, p=shares(len(PLACES), 3.0)),
        thing=rng.choice(THINGS, n, p=shares(THINGS, 10.0)),
        corner=rng.integers(0, 4, n),
        count=rng.choice(MOST + 1, n, p=shares(MOST + 1, 2.0)[[3, 0, 1, 2, 4, 5, 6]]),
        shape=rng.integers(0, len(SHAPES), (n, MOST)),
        colour=rng.choice(len(COLOURS), (n, MOST), p=shares(len(COLOURS), 4.0)),
        cell=free,
    )


def draw(contents: Contents, rows: slice, size: int, rng: np.random.Generator) -> np.ndarray:
    """(b, size, size, 3) uint8 pictures of some of the contents. size: a multiple of 4, from 16 on."""
    place, thing, corner = contents.place[rows], contents.thing[rows], contents.corner[rows]
    b, side = len(place), size // _GRID
    fixed = np.random.default_rng(_FIXED)
    grounds = fixed.uniform(0.2, 0.8, (len(PLACES), _GRID, _GRID, 3))
    patterns = fixed.random((len(NOUNS), _GRID, _GRID, 3))
    tints = np.concatenate([np.ones((1, 3)), fixed.uniform(0.35, 1.0, (len(KINDS), 3))])
    picture = np.empty((b, _GRID, side, _GRID, side, 3), np.float32)
    picture[:] = grounds[place][:, :, None, :, None]
    looks = patterns[noun_of(thing)] * tints[thing // len(NOUNS)][:, None, None]
    half = side * 2 // _GRID or 1
    block = looks.repeat(half, 1).repeat(half, 2)[:, : 2 * side, : 2 * side].reshape(b, 2, side, 2, side, 3)
    rank = np.arange(b)
    top, left = corner // 2 * 2, corner % 2 * 2
    for down in range(2):
        for across in range(2):
            picture[rank, top + down, :, left + across] = block[:, down, :, across]
    _shapes(picture, contents, rows, side)
    picture += rng.normal(0, 0.03, picture.shape).astype(np.float32)
    return np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8).reshape(b, size, size, 3)


def _shapes(picture: np.ndarray, contents: Contents, rows: slice, side: int) -> None:
    """Each in a cell of its own, beside the thing."""
    masks = _masks(side)
    shown, shape, colour = (part[rows] for part in (contents.shown, contents.shape, contents.colour))
    free = _free_cells()[contents.corner[rows, None], contents.cell[rows]]
    for k in range(MOST):
        which = np.flatnonzero(shown[:, k])
        down, across = np.divmod(free[which, k], _GRID)
        mask = masks[shape[which, k]][..., None]
        cell = picture[which, down, :, across]
        picture[which, down, :, across] = cell + mask * (_RGB[colour[which, k]][:, None, None] - cell)


def _free_cells() -> np.ndarray:
    """(4, 12) the cells that a thing in each corner leaves."""
    down, across = np.divmod(np.arange(_GRID**2), _GRID)
    corner = down // 2 * 2 + across // 2
    return np.stack([np.flatnonzero(corner != taken) for taken in range(4)])


def _masks(side: int) -> np.ndarray:
    """(4, side, side) float32, 1 inside of each shape."""
    axis = (np.arange(side) + 0.5) / side * 2 - 1
    y, x = axis[:, None], axis[None, :]
    inside = [
        (abs(x) < 0.75) & (abs(y) < 0.75),
        np.hypot(x, y) < 0.85,
        (y < 0.8) & (abs(x) < (y + 0.85) / 1.8),
        ((abs(x) < 0.28) | (abs(y) < 0.28)) & (abs(x) < 0.9) & (abs(y) < 0.9),
    ]
    return np.stack(inside).astype(np.float32)
