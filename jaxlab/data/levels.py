"""Which grey level shows white, of images that store more than 8 bits: as a config says, else as the data reach."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from jaxlab.core.types import Samples, StoredLevels, UserError
from jaxlab.data.readers.decoding import FULL, eight_bits
from jaxlab.data.source import Opened, each_image_once

Levels = int | tuple[int, int]
_ELSE = "(images.levels); levels=(BLACK, WHITE) takes what lies outside for these two"
_BITS = (8, 10, 12, 14, 16)  # of cameras


@dataclass(frozen=True)
class Reach:
    """count: of `total` images, those of more than 8 bits. lowest, highest: of their levels."""

    count: int
    total: int
    lowest: int
    highest: int

    @property
    def white(self) -> int | None:
        """The highest level of the fewest bits, of those that cameras have, that hold all; None of 16, the usual.

        Raises UserError for levels of more, and for negative ones: nothing tells which are black and white.
        """
        if self.lowest < 0 or self.highest > FULL:
            raise UserError(
                f"images.levels: {self.count} of {self.total} images hold whole numbers from {self.lowest} to "
                f"{self.highest}, expected 0 to {FULL}; say which of them are black and white: "
                f"--set 'images.levels=({self.lowest},{self.highest})'"
            )
        white = next(2**bits - 1 for bits in _BITS if self.highest < 2**bits)
        return None if white == FULL else white

    def sentence(self, shown: Levels | None) -> str:
        """What is made of them, in the words of the config."""
        low, high = (0, FULL if shown is None else shown) if not isinstance(shown, tuple) else shown
        steps = round((min(self.highest, high) - max(self.lowest, low)) / max(high - low, 255) * 255) + 1
        finer = f", in {steps} steps"
        if shown != (self.lowest, self.highest) and 2 * steps < min(256, self.highest - self.lowest + 1):
            finer += f": images.levels=({self.lowest}, {self.highest}) would keep more"
        return (
            f"{self.count} of {self.total} images store more than 8 bits, with levels {self.lowest} to {self.highest}; "
            f"{low} is black and {high} white (images.levels){finer}"
        )


def reach(opened: Opened) -> Reach | None:
    """Of all images, those to predict too; None where none stores more than 8 bits. Only such are decoded.

    Those that cannot be read are left to where they are needed.
    """
    found: list[tuple[int, int] | None] = []
    for samples in (opened.train, opened.test):
        if samples is not None:
            found += _extremes(samples)
    deep = [extremes for extremes in found if extremes is not None]
    if not deep:
        return None
    lowest, highest = zip(*deep, strict=True)
    return Reach(len(deep), len(found), min(lowest), max(highest))


def warn_of_dark(samples: Samples, levels: Levels | None, log: Callable[[str], None]) -> None:
    """A warning where a run names no `levels`, its images having had 8 or 16 bits, and `samples` have between these."""
    if levels is not None:
        return
    deep = [extremes for extremes in _extremes(samples) if extremes is not None]
    highest = max((high for _, high in deep), default=FULL)
    if highest < 2 ** _BITS[-2]:
        log(
            f"warning: {len(deep)} images store more than 8 bits, with levels up to {highest}; 65535 is white, as the "
            "run's own images.levels say nothing else: if they were not so dark in training, predictions are wrong"
        )


def _extremes(samples: Samples) -> list[tuple[int, int] | None]:
    """Of each image, the lowest and highest level; None of images of 8 bits, or that cannot be read."""
    deep = samples.deep
    if deep is None:
        return []

    def one(position: int) -> tuple[int, int] | None:
        try:
            stored = deep(position)
        except UserError:
            return None
        return None if stored is None else stored.extremes

    shown, _ = each_image_once(samples, np.arange(len(samples)))
    with ThreadPoolExecutor() as pool:
        return list(pool.map(one, shown.tolist()))


def at_levels(samples: Samples, shown: Levels | None) -> Samples:
    """`samples` whose images of more than 8 bits are read at `shown`; None: as `Samples.read` has them.

    Floats stay such, black 0 and white 1; whole numbers become 8 bits.
    """
    if shown is None:
        return samples
    deep = samples.deep

    def read(position: int) -> np.ndarray:
        stored = None if deep is None else deep(position)
        if stored is None:
            return _floats(samples.read(position), samples.masks, shown, str(samples.ids[position]))
        image = _shown(stored, shown, str(samples.ids[position]))
        if not samples.masks:
            return image
        return np.concatenate([image, samples.read(position)[..., -samples.masks :]], axis=-1)

    return replace(samples, read=read)


def _floats(image: np.ndarray, masks: int, shown: Levels, name: str) -> np.ndarray:
    """An image of floats at `shown`; any other as it is."""
    if image.dtype.kind != "f":
        return image
    low, high = (0, shown) if isinstance(shown, int) else shown
    colours, beside = np.split(image, [image.shape[2] - masks], axis=2)
    lowest, highest = float(colours.min()), float(colours.max())
    if isinstance(shown, int) and (lowest < 0 or highest > high):
        raise UserError(f"{name}: levels from {lowest:.4g} to {highest:.4g}, where {high} is white {_ELSE}")
    levels = (np.clip(colours, low, high).astype(np.float64) - low) / (high - low)
    return np.concatenate([levels.astype(np.float32), beside], axis=2)


def _shown(stored: StoredLevels, shown: Levels, name: str) -> np.ndarray:
    try:
        return eight_bits(stored, shown)
    except ValueError as error:
        raise UserError(f"{name}: {error} {_ELSE}") from None


def settled(opened: Opened, asked: Sequence[Levels | None], log: Callable[[str], None]) -> int | None:
    """What `images.levels` is where one of those `asked` for leaves it to the data; `log` is told what is made of them.

    None where no image stores more than 8 bits, and of 16. Raises UserError where that cannot be told.
    """
    found = reach(opened) if asked else None
    if found is None:
        return None
    white = found.white if None in asked else None
    for shown in dict.fromkeys(white if one is None else one for one in asked):
        log(found.sentence(shown))
    return white
