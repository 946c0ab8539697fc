"""Class balance: which samples an epoch shows, so that it shows every class equally often."""

from dataclasses import dataclass

import numpy as np

from jaxlab.core.config import Component
from jaxlab.core.types import UserError


@dataclass(frozen=True)
class Shown:
    """The samples of an epoch in order. index: (m,) int32 positions. mirror: (m, 2) bool, along (h, w)."""

    index: np.ndarray
    mirror: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Balance(Component):
    """Base of the ways to show classes equally often. A class without samples is left out."""

    def per_class(self, counts: np.ndarray) -> int:
        """How often an epoch shows each class. counts: (k,) samples of each, all above 0."""
        raise NotImplementedError

    def length(self, label: np.ndarray) -> int:
        """Samples in an epoch. label: (n,)."""
        counts = np.unique(label, return_counts=True)[1]
        return len(counts) * self.per_class(counts)

    def epoch(self, label: np.ndarray, seed: int, epoch: int) -> Shown:
        """A pure function of its arguments. label: (n,) int32. epoch: from 0."""
        rng = np.random.default_rng(np.random.SeedSequence((seed, epoch)))
        classes, counts = np.unique(label, return_counts=True)
        each = self.per_class(counts)
        views = [self.draw(np.flatnonzero(label == name), each, rng) for name in classes]
        order = rng.permutation(len(classes) * each)
        return Shown(
            np.concatenate([view.index for view in views])[order].astype(np.int32),
            np.concatenate([view.mirror for view in views])[order],
        )

    def draw(self, positions: np.ndarray, each: int, rng: np.random.Generator) -> Shown:
        """What an epoch shows of one class: `each` views of the samples at `positions`."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Oversample(Balance):
    """Each class as often as the largest: its samples again and again, none more than once oftener than another."""

    def per_class(self, counts: np.ndarray) -> int:
        return int(counts.max())

    def draw(self, positions: np.ndarray, each: int, rng: np.random.Generator) -> Shown:
        index = np.resize(rng.permutation(positions), each)
        return Shown(index, np.zeros((each, 2), bool))


@dataclass(frozen=True, kw_only=True)
class MirrorCopies(Balance):
    """Smaller classes are filled up with mirrored copies, so that an epoch shows no image twice.

    A class can show so often as it has samples and mirrored copies of them: twice as many, with both axes four times.
    Where the smallest class cannot reach the largest so, an epoch shows the larger ones only in part.
    horizontal, vertical: the axes along which copies are mirrored.
    """

    horizontal: bool = True
    vertical: bool = False

    def check(self) -> None:
        if not (self.horizontal or self.vertical):
            raise UserError("MirrorCopies: expected horizontal or vertical, found neither")

    @property
    def _mirrors(self) -> np.ndarray:
        """(v, 2) bool: the image as it is, then its mirrored copies."""
        pairs = [(down, across) for down in (False, True) for across in (False, True)]
        return np.array([p for p in pairs if self.vertical >= p[0] and self.horizontal >= p[1]])

    def per_class(self, counts: np.ndarray) -> int:
        return int(min(counts.max(), len(self._mirrors) * counts.min()))

    def draw(self, positions: np.ndarray, each: int, rng: np.random.Generator) -> Shown:
        """The samples as they are first, then copies; of both, a random part where not all are needed."""
        n, copies = len(positions), len(self._mirrors) - 1
        view = np.concatenate([rng.permutation(n), n + rng.permutation(copies * n)])[:each]
        return Shown(positions[view % n], self._mirrors[view // n])
