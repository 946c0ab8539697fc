"""One image of another size: filters, and how another aspect ratio is met; and grey for colour."""

import math
from typing import Literal

import numpy as np
from PIL import Image

from jaxlab.core.types import UserError
from jaxlab.data.readers.decoding import BACKGROUND
from jaxlab.data.readers.room import ROOM
from jaxlab.data.simd_resizing import Box, by_simd

FILTERS = {
    "area": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
Filter = Literal["area", "bilinear", "bicubic", "lanczos"]
_RESAMPLING = {**FILTERS, "nearest": Image.Resampling.NEAREST}  # of masks alone


def resize(
    image: np.ndarray,
    size: tuple[int, int],
    policy: str,
    filter_name: str,
    crop_fraction: float = 1.0,
    resized_first: bool = False,
    fast: bool = False,
) -> np.ndarray:
    """(h, w, c) uint8 or float32 -> (*size, c) of the same dtype; the rest is what Images says.

    filter_name: one of FILTERS, or `nearest` for masks, which are padded with 0. resized_first: crop_from="resized".
    fast: resizing="fast".

    Raises UserError where an image so narrow would be of more than 100 million pixels in between.
    """
    if image.shape[:2] == size and crop_fraction == 1:
        return image
    height, width = image.shape[:2]
    if policy == "crop" and resized_first:
        return _cut(image, size, filter_name, crop_fraction, fast)
    if policy == "crop":
        scale = min(height / size[0], width / size[1]) * crop_fraction
        spare = (height - size[0] * scale, width - size[1] * scale)
        top, left = (max(length, 0.0) / 2 for length in spare)  # rounded, they may be less than nothing
        return _scaled(image, size, filter_name, fast, (left, top, width - left, height - top))
    if policy == "pad":
        scale = min(size[0] / height, size[1] / width)
        inner = max(1, round(height * scale)), max(1, round(width * scale))
        top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
        ground = BACKGROUND if image.dtype == np.uint8 and filter_name != "nearest" else 0
        padded = np.full((*size, image.shape[2]), ground, image.dtype)
        padded[top : top + inner[0], left : left + inner[1]] = _scaled(image, inner, filter_name, fast)
        return padded
    return _scaled(image, size, filter_name, fast)


def _cut(
    image: np.ndarray, size: tuple[int, int], filter_name: str, fraction: float, fast: bool
) -> np.ndarray:
    """timm's transforms_imagenet_eval: torchvision's Resize, or ResizeKeepRatio where size is no square; CenterCrop."""
    height, width = image.shape[:2]
    wanted = math.floor(size[0] / fraction), math.floor(size[1] / fraction)
    if wanted[0] == wanted[1]:
        long = int(wanted[0] * max(height, width) / min(height, width))
        inner = (wanted[0], long) if height <= width else (long, wanted[0])
    else:
        ratio = min(height / wanted[0], width / wanted[1])
        inner = round(height / ratio), round(width / ratio)
    if inner[0] * inner[1] > ROOM.pixels:
        raise UserError(
            f"{height} x {width} pixels would be {inner[0]:,} x {inner[1]:,} before its centre is cut out "
            '(images.crop_from="resized"); expected sides of more alike lengths'
        )
    scaled = image if inner == (height, width) else _scaled(image, inner, filter_name, fast)
    top, left = (round((long - short) / 2) for long, short in zip(inner, size, strict=True))
    return scaled[top : top + size[0], left : left + size[1]]


def _scaled(
    image: np.ndarray, size: tuple[int, int], filter_name: str, fast: bool, box: Box | None = None
) -> np.ndarray:
    by = by_simd if fast and image.dtype == np.uint8 and filter_name in FILTERS else _by_pillow

    def scaled(plane: np.ndarray) -> np.ndarray:
        return by(Image.fromarray(plane), size, filter_name, box)

    if image.dtype == np.uint8 and image.shape[2] == 3:
        return scaled(image)
    return np.stack([scaled(np.ascontiguousarray(image[..., c])) for c in range(image.shape[2])], axis=-1)


def _by_pillow(plane: Image.Image, size: tuple[int, int], filter_name: str, box: Box | None) -> np.ndarray:
    return np.asarray(plane.resize(size[::-1], _RESAMPLING[filter_name], box))  # type: ignore[arg-type]


def with_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """(h, w, 1 or 3) -> (h, w, channels): grey is repeated, colour becomes its BT.601 luma."""
    if image.shape[2] == channels:
        return image
    if channels == 3:
        return np.repeat(image, 3, axis=2)
    luma = image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return (np.round(luma).astype(np.uint8) if image.dtype == np.uint8 else luma)[..., None]
