"""Decode and resize every image once: uint8 in memory, or memory-mapped on disk when larger than a budget."""

import contextlib
import hashlib
import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, TypeVar

import numpy as np

from jaxlab.core.config import LATER, Component
from jaxlab.core.machine import cores
from jaxlab.core.progress import tracked
from jaxlab.core.store import stored
from jaxlab.core.types import Samples, UserError
from jaxlab.data.levels import Levels, at_levels
from jaxlab.data.readers.room import ROOM
from jaxlab.data.resizing import Filter, resize, with_channels
from jaxlab.data.simd_resizing import check_simd
from jaxlab.data.source import checksums, each_image_once, examples
from jaxlab.data.texts import Asked

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Images(Component):
    """How stored images become arrays of one size.

    size: (height, width); None keeps the size of the images, which must then all agree.
    policy: how another aspect ratio is met: `stretch`, `crop` the centre, or `pad` with mid-grey (floats: 0).
    filter: `area` averages the pixels under each new one (enlarging repeats them); the others widen with the
        reduction (antialiased), as Pillow has them. Default: what pretrained weights were trained with, else `area`.
    crop_fraction: side of the centre that `crop` keeps, as a share of the shorter side. Default: what pretrained
        weights were evaluated with, else 1.
    channels: 3 repeats grey levels; 1 takes the luma of colours (ITU-R BT.601).
    memory_budget_gb: decoded images larger than this lie in a memory-mapped cache on disk.
    levels: of images that store more than 8 bits, such as a camera's 12 in a PNG of 16: the level that shows white
        (higher ones are refused), or the two that show black and white (others are taken for these). Whole numbers
        become 8 bits, floats 0 to 1. Default, for whole numbers: 255, 1023, 4095, 16383 or 65535, the first that holds
        all images of the data, those to predict too; training says which.
    crop_from: how `crop` cuts the centre. "box": out of the image, exactly, in one step. "resized": the shorter side is
        made floor(size / crop_fraction) pixels long, and whole pixels are cut out of that, as timm and torchvision do.
        Default: "resized" with weights that come from timm, else "box".
    resizing: "exact" is Pillow's, to the last bit. "fast" has the same filters from cykooz-resizer (extra `fast`), five
        times as fast; of photographs' pixels most are equal, others a level of 255 off, or a few at sharp edges with
        `bicubic` and `lanczos`; of `area`, a pixel whose centre lies between two new ones goes to one or the other.
        Floats and masks are Pillow's either way.
    """

    size: tuple[int, int] | None = None
    policy: Literal["stretch", "crop", "pad"] = "stretch"
    filter: Filter | None = None
    crop_fraction: float | None = None
    channels: Literal[1, 3] = 3
    memory_budget_gb: float = 4.0
    levels: Levels | None = field(default=None, metadata=LATER)
    crop_from: Literal["box", "resized"] | None = field(default=None, metadata=LATER)
    resizing: Literal["exact", "fast"] = field(default="exact", metadata=LATER)

    @property
    def extras(self) -> tuple[str, ...]:
        return ("fast",) if self.resizing == "fast" else ()

    def check(self) -> None:
        if self.size is not None and min(self.size) < 1:
            raise UserError(f"Images.size: expected (height, width) of at least 1, found {self.size}")
        if self.size is not None and self.size[0] * self.size[1] > ROOM.pixels:
            raise UserError(f"Images.size: expected at most {ROOM.pixels:,} pixels, found {self.size}")
        if self.crop_fraction is not None and not 0 < self.crop_fraction <= 1:
            raise UserError(
                f"Images.crop_fraction: expected more than 0 and at most 1, found {self.crop_fraction}"
            )
        if self.crop_fraction is not None and self.policy != "crop":
            raise UserError(f'Images.crop_fraction: expected policy="crop", found {self.policy!r}')
        if self.crop_from is not None and self.policy != "crop":
            raise UserError(f'Images.crop_from: expected policy="crop", found {self.policy!r}')
        if self.memory_budget_gb < 0:
            raise UserError(f"Images.memory_budget_gb: expected 0 or more, found {self.memory_budget_gb}")
        low, high = self.levels if isinstance(self.levels, tuple) else (0, self.levels)
        if high is not None and not low < high:
            raise UserError(
                f"Images.levels: expected white above 0, or (black, white) with black below white, found {self.levels}"
            )


@dataclass(frozen=True)
class SharedImages:
    """Images that several samples show: indexed as an array of one a sample, yet each is held once.

    images: (m, h, w, c). rows: (n,) the position in `images` of each sample's image.
    """

    images: np.ndarray
    rows: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> np.ndarray:
        return self.images[self.rows[index]]


ImageRows = np.ndarray | SharedImages | Asked


def decode_splits(
    samples: Samples, splits: Sequence[np.ndarray], images: Images, size: tuple[int, int] | None = None
) -> Sequence[ImageRows]:
    """The images of several splits' positions, decoded in one go: every image at fault is named at once.

    What samples share (`Samples.image_of`) is decoded once, within a split and across them. Else as `decode`; a cache
    on disk serves every division of the same samples into splits.
    """
    every = np.unique(np.concatenate(splits))
    shown, rows = each_image_once(samples, every)
    decoded = decode(samples, shown, images, size)
    if samples.image_of is None and len(splits) == 1 and np.array_equal(every, splits[0]):
        return [decoded]
    return [SharedImages(decoded, rows[np.searchsorted(every, positions)]) for positions in splits]


def decode(
    samples: Samples, positions: np.ndarray, images: Images, size: tuple[int, int] | None = None
) -> np.ndarray:
    """The images at `positions` as one array (n, h, w, c): uint8, or float32 where the source has floats.

    c is images.channels, then the samples' masks. size: what all must have where `images` says none; default: the
    first one's. Where images.levels is None, 65535 shows white of images of more than 8 bits.

    Raises UserError that names every image that cannot be decoded, or whose size differs when `size` is None.
    """
    if len(positions) == 0:
        raise UserError("no images to decode: the split is empty")
    if images.resizing == "fast":
        check_simd()
    samples = at_levels(samples, images.levels)
    first = first_readable(samples, positions)
    height, width = images.size or size or first.shape[:2]
    shape = (len(positions), height, width, images.channels + samples.masks)

    def fill(array: np.ndarray) -> None:
        _decode_into(array, samples, positions, images)

    if np.prod(shape, dtype=float) * first.itemsize > images.memory_budget_gb * 1e9:
        fixed = replace(images, size=(height, width))
        return stored(_key(samples, positions, fixed), shape, first.dtype, fill)
    array = np.empty(shape, first.dtype)
    fill(array)
    return array


def stream(samples: Samples, positions: np.ndarray, images: Images, size: int) -> Iterator[np.ndarray]:
    """The images at `positions` in order, as `decode` has them, up to `size` at a time; two batches are made ahead.

    Raises UserError that names every image of a batch that cannot be decoded; and where `images` has no size.
    """
    if images.size is None:
        raise UserError("Images.size: to decode batch by batch, expected (height, width), found None")
    if images.resizing == "fast":
        check_simd()
    if len(positions) == 0:
        return
    samples = at_levels(samples, images.levels)
    dtype, shape = first_readable(samples, positions).dtype, (*images.size, images.channels + samples.masks)
    ready: deque[tuple[np.ndarray, list[Future[str | None]]]] = deque()

    def finished() -> np.ndarray:
        array, tasks = ready.popleft()
        check_usable((task.result() for task in tasks), len(array))
        return array

    pool = _decoders()
    try:
        for start in range(0, len(positions), size):
            rows = positions[start : start + size]
            array = np.empty((len(rows), *shape), dtype)
            one = partial(_decode_one, array, samples, rows, images)
            ready.append((array, [pool.submit(one, row) for row in range(len(rows))]))
            if len(ready) > 2:
                yield finished()
        while ready:
            yield finished()
    finally:
        pool.shutdown(cancel_futures=True)


def first_readable(samples: Samples, positions: np.ndarray) -> np.ndarray:
    """It gives the dtype and, where that is not set, the size; those that cannot be read are reported all together."""
    for position in positions.tolist():
        with contextlib.suppress(UserError):
            return samples.read(position)
    return samples.read(int(positions[0]))


def _key(samples: Samples, positions: np.ndarray, images: Images) -> str:
    recipe: list[Any] = [
        2,
        images.size,
        images.policy,
        images.filter,
        images.crop_fraction,
        images.channels,
        len(positions),
    ]
    recipe += [later for later in (images.levels, images.crop_from) if later is not None]
    if images.resizing != "exact":
        recipe.append(images.resizing)
    return (
        "images-"
        + hashlib.sha256(json.dumps(recipe).encode() + checksums(samples, positions)).hexdigest()[:32]
    )


def _decoders() -> ThreadPoolExecutor:
    """One thread more than there are cores: with many more they wait for each other."""
    return ThreadPoolExecutor(cores() + 1)


def _decode_into(array: np.ndarray, samples: Samples, positions: np.ndarray, images: Images) -> None:
    one = partial(_decode_one, array, samples, positions, images)
    with _decoders() as pool:
        check_usable(shown(pool.map(one, range(len(array))), len(array), "decoding images"), len(array))


def _decode_one(
    array: np.ndarray, samples: Samples, positions: np.ndarray, images: Images, row: int
) -> str | None:
    """Fill a row; what is wrong with its image, if anything."""
    try:
        size = (array.shape[1], array.shape[2])
        with ROOM.kept():
            array[row] = fitted(samples, int(positions[row]), images, size, array.dtype)
    except UserError as error:
        return str(error)
    return None


def check_usable(results: Iterable[str | None], total: int) -> None:
    """Raises UserError with what is wrong with single images of `total`, if anything is."""
    if problems := [problem for problem in results if problem is not None]:
        if total == 1:
            raise UserError(problems[0])
        raise UserError(f"{len(problems)} of {total} images cannot be used: {examples(problems)}")


def shown(results: Iterable[T], total: int, what: str) -> Iterable[T]:
    """`results`, with a progress bar on a terminal."""
    return tracked(results, what, total)


def fitted(
    samples: Samples, position: int, images: Images, size: tuple[int, int], dtype: np.dtype
) -> np.ndarray:
    """The image at `position` as `decode` returns it: (*size, images.channels) of `dtype`."""
    image, name = samples.read(position), samples.ids[position]
    if image.dtype != dtype or image.ndim != 3 or image.shape[2] - samples.masks not in (1, 3):
        raise UserError(f"{name}: expected (h, w, 1 or 3) {dtype}, found {image.shape} {image.dtype}")
    if images.size is None and image.shape[:2] != size:
        raise UserError(
            f"{name}: is {image.shape[:2]} (height, width) where the first image is {size}; set images.size"
        )
    colours, masks = np.split(image, [image.shape[2] - samples.masks], axis=2)
    how = (images.crop_fraction or 1.0, images.crop_from == "resized", images.resizing == "fast")
    try:
        scaled = resize(colours, size, images.policy, images.filter or "area", *how)
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    scaled = with_channels(scaled, images.channels)
    if not samples.masks:
        return scaled
    return np.concatenate([scaled, resize(masks, size, images.policy, "nearest", *how)], axis=2)
