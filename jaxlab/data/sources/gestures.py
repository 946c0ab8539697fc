"""Simulated hand gestures: few small images, five classes of which four are alike. No download."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxlab.core.machine import check_room
from jaxlab.core.types import Samples, UserError
from jaxlab.data.simulation.hands import GESTURES, make_hands
from jaxlab.data.simulation.kaggle_folder import new_folder, write
from jaxlab.data.source import Opened, Source


@dataclass(frozen=True, kw_only=True)
class Gestures(Source):
    """`images` labelled and `test_images` further images of `size` pixels, drawn from `seed`.

    Classes: none (no hand, perhaps an arm), point, victory, thumb_up, thumb_down. Hands are left or right, and differ
    in skin, thickness, size, place, rotation and light; behind them lie noise and things, some of the colour of skin.
    An image and its id follow from `seed` and its number, so that fewer images are the first of more.
    images, test_images: how many. size: of an image's sides, in pixels.
    imbalance: so many times as frequent as the last class is the first, in training and test images; frequencies of
        those between fall geometrically (the imbalance factor of Cui et al. 2019, arXiv 1901.05555). 1: all alike.
    seed: of everything.
    """

    images: int = 1500
    test_images: int = 500
    size: int = 64
    imbalance: float = 1.0
    seed: int = 0

    def check(self) -> None:
        least = {"images": len(GESTURES), "test_images": 1, "size": 16, "imbalance": 1, "seed": 0}
        given = {name: getattr(self, name) for name in least}
        low = {name: value for name, value in given.items() if not value >= least[name]}  # of NaN too
        if low:
            raise UserError(
                f"Gestures: expected at least { ({name: least[name] for name in low}) }, found {low}"
            )
        if (rarest := self.images * self.shares[-1]) < 2:
            raise UserError(
                f"Gestures.imbalance: expected two images of the rarest class or more, found {rarest:.2g} of "
                f"{self.images} at {self.imbalance}; set more images, or less imbalance"
            )

    @property
    def shares(self) -> tuple[float, ...]:
        """Of each class among the images."""
        weights = self.imbalance ** -np.linspace(0, 1, len(GESTURES))
        return tuple((weights / weights.sum()).tolist())

    @property
    def mirrors(self) -> frozenset[str]:
        """Left and right hands show the same; upside down, a thumb up is a thumb down."""
        return frozenset({"horizontal"})

    def open(self) -> Opened:
        chunks = 100 * 64 * (os.cpu_count() or 1)  # bytes a pixel of what threads paint at a time
        needed = (6 * (self.images + self.test_images) + chunks) * self.size**2
        check_room("Gestures", {"images, test_images and size": needed})
        train, test = self._samples("train", self.images), self._samples("test", self.test_images)
        return Opened(train=train, test=test, kind="classification", targets=GESTURES)

    def _samples(self, split: str, count: int) -> Samples:
        seed = (self.seed, ("train", "test").index(split))
        images, gesture = make_hands(count, self.size, self.shares, seed)
        return Samples(
            ids=np.array([f"{split}{number:05d}" for number in range(count)]),
            read=lambda position: images[position],
            checksum=lambda position: hashlib.sha256(images[position].tobytes()).digest(),
            label=gesture,
            columns={"gesture": np.array(GESTURES)[gesture]},
        )

    def write_kaggle(self, folder: Path) -> None:
        """Write train.csv, train/, test/ (PNG), sample_submission.csv and solution.csv.

        Raises UserError where `folder` holds anything: it could be data.
        """
        with new_folder(folder) as partial:
            write(partial, self.open(), "gesture")
