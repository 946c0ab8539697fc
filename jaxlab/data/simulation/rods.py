"""Rods with round ends, painted over many images at once, in the light of a direction of each image's own."""

from dataclasses import dataclass
from typing import Self

import numpy as np


@dataclass(frozen=True)
class Canvas:
    """Images that are painted in place; lengths are in image widths, from the middle.

    image: (b, s, s, 3) float32 reflected light. down, across: (s, 1) and (1, s) places of pixels.
    light: (2, b, 1, 1) the direction that it comes from, down and across.
    """

    image: np.ndarray
    down: np.ndarray
    across: np.ndarray
    light: np.ndarray

    @classmethod
    def over(cls, background: np.ndarray, light: np.ndarray) -> Self:
        """background: (b, s, s, 3) float32. light: (b,) its angle."""
        size = background.shape[1]
        axis = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
        direction = np.stack([np.sin(light), np.cos(light)]).astype(np.float32)[..., None, None]
        return cls(background, axis[:, None], axis[None, :], direction)

    def rod(self, ends: np.ndarray, radius: np.ndarray, colour: np.ndarray, shown: np.ndarray) -> None:
        """Paint one in each image over what is there; a short and wide one is a fist.

        ends: (2, 2, b) its first and last point, down and across. radius: (b,). colour: (b, 3). shown: (b,) bool.
        """
        size = self.image.shape[1]
        first, last = ends.astype(np.float32)[..., None, None]
        radius = radius.astype(np.float32)[:, None, None]
        line, down, across = last - first, self.down - first[0], self.across - first[1]
        along = np.clip((down * line[0] + across * line[1]) / ((line * line).sum(0) + 1e-9), 0, 1)
        down, across = down - along * line[0], across - along * line[1]
        distance = np.sqrt(down * down + across * across)
        opacity = np.clip((radius - distance) * size + 0.5, 0, 1) * shown[:, None, None]
        facing = np.clip((down * self.light[0] + across * self.light[1]) / radius, -1, 1)
        height = np.sqrt(1 - np.minimum(distance / radius, 1) ** 2)
        shade = 0.72 + 0.28 * height + 0.3 * facing
        painted = shade[..., None] * colour.astype(np.float32)[:, None, None]
        self.image[...] += opacity[..., None] * (painted - self.image)

    def photographed(self, rng: np.random.Generator) -> np.ndarray:
        """(b, s, s, 3) uint8: light that is weaker on one side, of some colour, and the camera's noise."""
        one = (len(self.image), 1, 1)
        slope = rng.uniform(0, 0.7, one) * (self.down * self.light[0] + self.across * self.light[1])
        gain, tint = rng.uniform(0.6, 1.15, one) * (1 + slope), 1 + rng.normal(0, 0.06, (*one, 3))
        deviation = rng.uniform(0.01, 0.04, (*one, 1)).astype(np.float32)
        noise = deviation * rng.standard_normal(self.image.shape, np.float32)
        seen = self.image * (gain[..., None] * tint).astype(np.float32) + noise
        return np.round(np.clip(seen, 0, 1) * 255).astype(np.uint8)
