"""Images that look the same: a perceptual hash for candidates, a small picture to confirm them."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.fft
from PIL import Image

NEAR_BITS = 10  # of 63: unrelated photographs differ in 32 on average, recompressed or resized ones in a few
NEAR_CORRELATION = (
    0.95  # of small pictures: tells images of the same layout, whose hashes may agree, from copies
)
SIDE = 16
_CELLS = 2**22  # pairs whose hashes are compared at a time
_PAIRS = 2**14  # of those, pairs whose pictures are


@dataclass(frozen=True)
class Look:
    """hash: 63 bits. picture: (256,) float32 luma at 16 x 16, mean 0, length 1; zeros for an image without contrast."""

    hash: np.uint64
    picture: np.ndarray


def look(luma: np.ndarray) -> Look:
    """Of an (h, w) image of any range.

    The hash is pHash: the signs, about their median, of the 63 lowest frequencies but the mean of the discrete cosine
    transform at 32 x 32 (Zauner 2010, Implementation and benchmarking of perceptual image hash functions).
    """
    plane = Image.fromarray(np.ascontiguousarray(luma, np.float32))
    small = np.asarray(plane.resize((32, 32), Image.Resampling.BOX))
    low = scipy.fft.dctn(small, norm="ortho")[:8, :8].ravel()[1:]
    bits = np.packbits(np.concatenate([[False], low > np.median(low)]))
    picture = small.reshape(SIDE, 2, SIDE, 2).mean((1, 3)).ravel()
    picture = picture - picture.mean()
    length = np.linalg.norm(picture)
    flat = length <= 1e-3 * SIDE * max(float(np.abs(small).max()), 1e-12)
    return Look(
        bits.view(">u8")[0].astype(np.uint64), np.zeros(SIDE * SIDE, np.float32) if flat else picture / length
    )


@dataclass(frozen=True)
class Pairs:
    """Images that look the same, the most alike first. first, second: (k,) positions, first < second.

    bits: (k,) how many bits of the hashes differ. correlation: (k,) of the small pictures.
    """

    first: np.ndarray
    second: np.ndarray
    bits: np.ndarray
    correlation: np.ndarray


def near_pairs(hashes: np.ndarray, pictures: np.ndarray) -> Pairs:
    """Images without contrast are in no pair. hashes: (n,) uint64. pictures: (n, 256).

    Some rows against all later ones at a time, in bounded memory.
    """
    chunk = max(1, _CELLS // max(len(hashes), 1))
    contrast = np.any(pictures != 0, axis=1)
    parts = []
    for start in range(0, len(hashes), chunk):
        rows = slice(start, start + chunk)
        bits = np.bitwise_count(hashes[rows, None] ^ hashes[None, start:])
        near = np.triu(bits <= NEAR_BITS, 1) & contrast[rows, None] & contrast[None, start:]
        for first, second in _some(*np.nonzero(near)):
            correlation = np.einsum("ij,ij->i", pictures[first + start], pictures[second + start])
            found = np.stack([first + start, second + start, bits[first, second], correlation], axis=1)
            parts.append(found[correlation >= NEAR_CORRELATION])
    pairs = np.concatenate(parts) if parts else np.empty((0, 4))
    first, second, bits, correlation = pairs[np.lexsort((pairs[:, 0], pairs[:, 2], -pairs[:, 3]))].T
    return Pairs(first.astype(int), second.astype(int), bits.astype(int), correlation)


def _some(first: np.ndarray, second: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(first), _PAIRS):
        yield first[start : start + _PAIRS], second[start : start + _PAIRS]
