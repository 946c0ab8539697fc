"""What an audit notes of one decoded image."""

from dataclasses import dataclass

import numpy as np

from jaxlab.data.audit.near_duplicates import Look, look
from jaxlab.data.resizing import with_channels

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
    luma = with_channels(image, 1)[..., 0]
    grey = image.shape[2] == 1 or bool((image == image[..., :1]).all())
    if image.dtype == np.uint8:
        scale = np.float32(255)
        counts = np.stack([np.bincount(plane.ravel(), minlength=256) for plane in np.moveaxis(image, 2, 0)])
        levels = np.arange(256) / 255
        sums = np.stack([counts @ levels, counts @ levels**2])
        dark, bright = counts[:, [0, 255]].sum(0) / image.size
    else:
        scale, (dark, bright) = np.float32(1), (0.0, 0.0)
        values = image.reshape(-1, image.shape[2]).astype(np.float64)
        sums = np.stack([values.sum(0), np.square(values).sum(0)])
    return Measured(
        size=image.shape[:2],
        channels=1 if grey else 3,
        dtype=str(image.dtype),
        sums=np.broadcast_to(sums, (2, 3)),  # grey is all three colours
        lowest=float(image.min() / scale),
        highest=float(image.max() / scale),
        dark=float(dark),
        bright=float(bright),
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
