"""Small colour images of hands that point, show a V, or a thumb: left or right, of any skin, light and surroundings."""

import functools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

import numpy as np

from jaxlab.data.simulation.rods import Canvas
from jaxlab.data.simulation.scenes import COMPONENTS, pink

GESTURES = ("none", "point", "victory", "thumb_up", "thumb_down")
_NONE, _POINT, _VICTORY, _UP, _DOWN = range(5)
_CHUNK = 64
_LIGHT_SKIN, _DARK_SKIN = np.array([0.96, 0.78, 0.66]), np.array([0.32, 0.20, 0.14])
_KNUCKLES = (-0.36, -0.12, 0.12, 0.36)  # of index to little finger, across a fist of about 1


@functools.lru_cache(maxsize=4)
def make_hands(
    n: int, size: int, shares: tuple[float, ...], seed: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """(n, size, size, 3) uint8 images and the (n,) int32 gesture of each, drawn from `seed`.

    shares: of each gesture. Fewer images are the first of more.
    """
    gesture = gestures(n, shares, np.random.default_rng((*seed, 0)))

    def chunk(first: int) -> np.ndarray:
        return _chunk(gesture[first : first + _CHUNK], size, np.random.default_rng((*seed, 1, first)))

    with ThreadPoolExecutor() as pool:
        return np.concatenate(list(pool.map(chunk, range(0, n, _CHUNK)))), gesture


def gestures(n: int, shares: tuple[float, ...], rng: np.random.Generator) -> np.ndarray:
    """(n,) int32 in an order without pattern, of which any beginning has the shares asked for but for one or two."""
    counts, found = np.zeros(len(shares)), np.empty(n, np.int32)
    for position, jitter in enumerate(rng.random((n, len(shares)))):
        found[position] = np.argmax((position + 1) * np.array(shares) - counts + jitter)
        counts[found[position]] += 1
    return found


def _chunk(gesture: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Always as many are drawn, so that an image does not depend on how many follow."""
    whole = np.resize(gesture, _CHUNK)
    canvas = Canvas.over(_background(size, rng), rng.uniform(0, 2 * np.pi, _CHUNK))
    _clutter(canvas, rng)
    _Hand.drawn(whole, rng).paint(canvas, whole, rng)
    return canvas.photographed(rng)[: len(gesture)]


def _background(size: int, rng: np.random.Generator) -> np.ndarray:
    """Clouds of 1 / f noise, mostly of luminance, about one colour."""
    colour = rng.uniform(0.2, 0.8, (_CHUNK, 1, 1, 1)) + rng.normal(0, 0.09, (_CHUNK, 1, 1, 3))
    contrast = rng.uniform(0.02, 0.10, (_CHUNK, 1, 1, 1)) / COMPONENTS.max()
    return colour.astype(np.float32) + contrast.astype(np.float32) * (pink(_CHUNK, 3, size, rng) @ COMPONENTS)


def _clutter(canvas: Canvas, rng: np.random.Generator) -> None:
    """Rods and discs behind the hand, every second one of the colour of some skin."""
    for number in range(3):
        start, length = rng.uniform(-0.55, 0.55, (2, _CHUNK)), rng.uniform(0, 0.5, _CHUNK)
        turn, radius = rng.uniform(0, 2 * np.pi, _CHUNK), rng.uniform(0.02, 0.12, _CHUNK)
        ends = np.stack([start, start + length * np.stack([np.sin(turn), np.cos(turn)])])
        canvas.rod(ends, radius, _skin(rng) if number % 2 else _paint(rng), rng.random(_CHUNK) < 0.5)


def _skin(rng: np.random.Generator) -> np.ndarray:
    share = rng.uniform(0, 1, (_CHUNK, 1))
    mean = _LIGHT_SKIN + share * (_DARK_SKIN - _LIGHT_SKIN)
    return np.clip(mean + rng.normal(0, 0.03, (_CHUNK, 3)), 0.05, 1)


def _paint(rng: np.random.Generator) -> np.ndarray:
    return np.clip(rng.uniform(0.1, 0.9, (_CHUNK, 1)) + rng.normal(0, 0.15, (_CHUNK, 3)), 0.03, 1)


@dataclass(frozen=True)
class _Hand:
    """Where a fist is, and how large. In its own frame knuckles are up, index and thumb are left.

    side: (b,) -1 or 1, of left and right hands. turn: (b,) radians. scale: (b,) a fist's width, in image widths.
    thick: (b,) a factor of all radii. place: (2, b) of its middle, down and across the image. skin: (b, 3).
    """

    side: np.ndarray
    turn: np.ndarray
    scale: np.ndarray
    thick: np.ndarray
    place: np.ndarray
    skin: np.ndarray

    @classmethod
    def drawn(cls, gesture: np.ndarray, rng: np.random.Generator) -> Self:
        """Thumbs point up or down as the fist is turned; any hand is turned by up to 0.4 radians more."""
        side = rng.choice([-1.0, 1.0], _CHUNK)
        upright = np.select([gesture == _UP, gesture == _DOWN], [np.pi / 2, -np.pi / 2], 0.0)
        return cls(
            side=side,
            turn=(upright + rng.uniform(-0.4, 0.4, _CHUNK)) * side,
            scale=rng.uniform(0.26, 0.36, _CHUNK),
            thick=rng.uniform(0.85, 1.15, _CHUNK),
            place=rng.uniform(-0.08, 0.08, (2, _CHUNK)),
            skin=_skin(rng),
        )

    def paint(self, canvas: Canvas, gesture: np.ndarray, rng: np.random.Generator) -> None:
        """Arm, fist, fingers and thumb, each over what was painted before it."""
        hand = gesture != _NONE
        self._arm(canvas, hand | (rng.random(_CHUNK) < 0.5), rng)
        palm = _point(0, 0.17)
        self._rod(canvas, -palm, palm, 0.42, 0.9 * self.skin, hand)
        self._fingers(canvas, gesture, rng)
        self._thumb(canvas, (gesture == _UP) | (gesture == _DOWN), hand, rng)

    def _arm(self, canvas: Canvas, shown: np.ndarray, rng: np.random.Generator) -> None:
        """A bare arm as far as a sleeve, both out of the image."""
        wrist, bend = _point(-0.35, 0), rng.uniform(-0.6, 0.6, _CHUNK)
        arm = np.stack([-np.cos(bend), np.sin(bend)])
        self._rod(canvas, wrist, wrist + 6 * arm, 0.30, self.skin, shown)
        sleeve = wrist + rng.uniform(0.5, 3.0, _CHUNK) * arm
        self._rod(canvas, sleeve, wrist + 6 * arm, 0.38, _paint(rng), shown)

    def _fingers(self, canvas: Canvas, gesture: np.ndarray, rng: np.random.Generator) -> None:
        """Each stretched, or folded before the palm."""
        fan = rng.uniform(0.10, 0.28, _CHUNK)
        for number, across in enumerate(_KNUCKLES):
            out = (gesture == _VICTORY) & (number < 2) | (gesture == _POINT) & (number == 0)
            lean = np.where(gesture == _VICTORY, (-1, 1, 0, 0)[number] * fan, rng.normal(0, 0.08, _CHUNK))
            stretched = rng.uniform(0.75, 1.1, _CHUNK) * np.stack([np.cos(lean), np.sin(lean)])
            tip = _point(0.30, across) + np.where(out, stretched, _point(-0.42, 0))
            self._rod(canvas, _point(0.30, across), tip, 0.135, self._shaded(rng), gesture != _NONE)

    def _thumb(self, canvas: Canvas, out: np.ndarray, shown: np.ndarray, rng: np.random.Generator) -> None:
        """Stretched to the side, or folded over the fingers."""
        root, lean = _point(0, -0.40), rng.uniform(-0.2, 0.5, _CHUNK)
        stretched = root + rng.uniform(0.55, 0.85, _CHUNK) * np.stack([np.sin(lean), -np.cos(lean)])
        folded = np.stack([rng.uniform(-0.1, 0.05, _CHUNK), rng.uniform(0.0, 0.15, _CHUNK)])
        self._rod(canvas, root, np.where(out, stretched, folded), 0.16, self._shaded(rng), shown)

    def _shaded(self, rng: np.random.Generator) -> np.ndarray:
        return self.skin * rng.uniform(0.94, 1.06, (_CHUNK, 1))

    def _rod(
        self,
        canvas: Canvas,
        start: np.ndarray,
        end: np.ndarray,
        radius: float,
        colour: np.ndarray,
        shown: np.ndarray,
    ) -> None:
        """start, end: (2, b) up and right in the fist's frame."""
        ends = np.stack([self._placed(start), self._placed(end)])
        canvas.rod(ends, radius * self.thick * self.scale, colour, shown)

    def _placed(self, point: np.ndarray) -> np.ndarray:
        """(2, b) down and across the image."""
        up, right = point[0] * self.scale, point[1] * self.scale * self.side
        sine, cosine = np.sin(self.turn), np.cos(self.turn)
        return self.place + np.stack([right * sine - up * cosine, right * cosine + up * sine])


def _point(up: float, right: float) -> np.ndarray:
    """(2, b), the same in every fist's frame."""
    return np.tile([[up], [right]], _CHUNK)
