"""What an audit notes of one decoded image."""

from dataclasses import dataclass

import numpy as np

from jaxlab.data.images import with_channels
from jaxlab.data.similar import Look, look

_TOLERANCE = 8 / 255  # of one colour, JPEG's errors included
BLACK = 16 / 255


@dataclass(frozen=True)
class Border:
    """Rows and columns of one colour along the edges. widths: top, bottom, left, right, in pixels. level: 0 to 1."""

    widths: tuple[int, int, int, int]
    level: float

    def share(self, size: tuple[int, int]) -> float:
        """The widest, relative to the image's side."""
        lengths = (size[0], size[0], size[1], size[1])
        return max(width / length for width, length in zip(self.widths, lengths, strict=True))


@dataclass(frozen=True)
class Measured:
    """Of one image. Values of uint8 images are divided by 255, floats taken as they are.

    size: (height, width). channels: 1 where all are equal. sums: (2, 3) float64 sums and sums of squares of red, green
    and blue over pixels. lowest, highest: its extremes. dark, bright: shares of values that are exactly 0 and 255 (of
    uint8 images). border: None where the whole image is of one colour.
    """

    size: tuple[int, int]
    channels: int
    dtype: str
    sums: np.ndarray
    lowest: float
    highest: float
    dark: float
    bright: float
    border: Border | None
    look: Look


def measure(image: np.ndarray) -> Measured:
    """image: (h, w, 1 or 3) uint8 or float32, without masks."""
    scale = np.float32(255 if image.dtype == np.uint8 else 1)
    colours = with_channels(image, 3).reshape(-1, 3).astype(np.float64) / scale
    luma = with_channels(image, 1)[..., 0]
    grey = image.shape[2] == 1 or bool((image == image[..., :1]).all())
    levels = np.bincount(image.ravel(), minlength=256) if image.dtype == np.uint8 else None
    return Measured(
        size=image.shape[:2],
        channels=1 if grey else 3,
        dtype=str(image.dtype),
        sums=np.stack([colours.sum(0), np.square(colours).sum(0)]),
        lowest=float(image.min() / scale),
        highest=float(image.max() / scale),
        dark=0.0 if levels is None else float(levels[0] / image.size),
        bright=0.0 if levels is None else float(levels[255] / image.size),
        border=_border(luma / scale),
        look=look(luma),
    )


def _border(luma: np.ndarray) -> Border | None:
    """Borders of the colour of the corner that they start from."""
    widths: list[int] = []
    level = 0.0
    for turned in (luma, luma[::-1], luma.T, luma.T[::-1]):
        corner = turned[0, 0]
        same = (np.abs(turned - corner) <= _TOLERANCE).all(1)
        width = int(same.argmin()) if not same.all() else len(turned)
        if width == len(turned):
            return None
        level = float(corner) if width > max(widths, default=0) else level
        widths.append(width)
    return Border((widths[0], widths[1], widths[2], widths[3]), level)
