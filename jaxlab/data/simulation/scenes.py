"""Synthetic colour images: a 1/f background and one textured object, whose category sets its looks."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from submit.late import Late

if TYPE_CHECKING:
    from scipy import fft, special
else:
    fft, special = Late("scipy.fft"), Late("scipy.special")

_CHUNK = 256
# Rows: luminance, red-green and blue-yellow contrast in RGB, scaled to standard deviations. Natural images
# vary mostly in luminance (Ruderman, Cronin & Chiao 1998 find such independent components in them).
COMPONENTS = np.array([[0.17, 0.17, 0.17], [0.02, -0.02, 0], [0.015, 0.015, -0.03]], np.float32)


@dataclass(frozen=True)
class Scenes:
    """images: (n, s, s, 3) uint8. category: (n,) int32."""

    images: np.ndarray
    category: np.ndarray


def make_scenes(n: int, size: int, categories: int, seed: np.random.SeedSequence) -> Scenes:
    """`n` scenes of `size` pixels; each category is as frequent as the others, up to one."""
    rng = np.random.default_rng(seed)
    category = rng.permutation(np.arange(n) % categories).astype(np.int32)
    chunks = [_scenes(category[k : k + _CHUNK], size, categories, rng) for k in range(0, n, _CHUNK)]
    return Scenes(np.concatenate(chunks), category)


def _scenes(category: np.ndarray, size: int, categories: int, rng: np.random.Generator) -> np.ndarray:
    b = len(category)
    contrast = rng.uniform(0.4, 1.3, (b, 1, 1, 1)).astype(np.float32)
    scene = 0.45 + contrast * (pink(b, 3, size, rng) @ COMPONENTS)
    mask, texture = _objects(category, size, rng)
    colour = _category_colours(categories)[category] + rng.normal(0, 0.05, (b, 3))
    surface = colour[:, None, None] + 0.25 * texture[..., None] + 0.05 * pink(b, 1, size, rng)
    scene += mask[..., None] * (surface.astype(np.float32) - scene)
    return np.round(np.clip(scene, 0, 1) * 255).astype(np.uint8)


def pink(b: int, channels: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """(b, s, s, channels) float32 noise with amplitude 1 / frequency; each plane has standard deviation 1."""
    white = rng.standard_normal((b, channels, size, size), np.float32)
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequency[0, 0] = np.inf
    noise = fft.irfft2(fft.rfft2(white) / frequency.astype(np.float32), s=(size, size))
    return np.moveaxis(noise / noise.std((2, 3), keepdims=True), 1, 3)


def _objects(category: np.ndarray, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(b, s, s) opacity and texture, both float32: a lobed outline of random place, size and rotation."""

    def draw(low: float, high: float) -> np.ndarray:
        return rng.uniform(low, high, (len(category), 1, 1)).astype(np.float32)

    axis = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    y, x = axis[:, None] - draw(-0.2, 0.2), axis[None, :] - draw(-0.2, 0.2)
    radius, turn = draw(0.16, 0.28), draw(-0.6, 0.6)
    lobes = (2 + category % 4).astype(np.float32)[:, None, None]
    outline = radius * (1 + 0.35 * np.cos(lobes * (np.arctan2(y, x) + turn)))
    opacity = special.expit((outline - np.hypot(x, y)) * size * 1.5)
    angle = (category * 2.4)[:, None, None].astype(np.float32) + turn
    frequency = (4 + 2 * (category % 5)).astype(np.float32)[:, None, None]
    phase = 2 * np.pi * frequency * (x * np.cos(angle) + y * np.sin(angle)) + draw(0, 2 * np.pi)
    return opacity.astype(np.float32), np.sin(phase).astype(np.float32)


def _category_colours(categories: int) -> np.ndarray:
    """(k, 3) hues evenly around the circle, of equal luminance."""
    hue = 2 * np.pi * np.arange(categories)[:, None] / categories + np.array([0, 2, 4]) * np.pi / 3
    return 0.5 + 0.22 * np.cos(hue)
