"""Training and validation samples by id: the same on every machine and in any row order."""

import hashlib
from dataclasses import dataclass

import numpy as np

from jaxlab.core.config import Component
from jaxlab.core.types import Samples, UserError
from jaxlab.data.source import examples

Positions = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Split(Component):
    """Base of the ways to divide labelled samples."""

    def split(self, samples: Samples) -> Positions:
        """Ascending positions of training and validation samples. Raises UserError if either is empty."""
        validation = self.validation_rows(samples)
        chosen = np.flatnonzero(~validation), np.flatnonzero(validation)
        return _both_sides(self, samples, chosen)

    def validation_rows(self, samples: Samples) -> np.ndarray:
        """(n,) bool."""
        raise NotImplementedError

    def advice(self, samples: Samples) -> str:
        """What would give both sides samples, where one has none."""
        columns = "; ".join(f"{name}: {examples(np.unique(v))}" for name, v in samples.columns.items())
        return f"the data's columns: {columns}" if columns else ""


@dataclass(frozen=True, kw_only=True)
class RandomSplit(Split):
    """The share `validation` of the ids, in the order of SHA-256("seed:id"); of pooled subjects whole images.

    validation: share of the samples that are for validation. seed: another one divides them otherwise.
    """

    validation: float = 0.1
    seed: int = 0

    def check(self) -> None:
        _check_share(self, self.validation)

    def validation_rows(self, samples: Samples) -> np.ndarray:
        units, unit = np.unique(_units(samples), return_inverse=True)
        return (_rank(units, self.seed) < round(self.validation * len(units)))[unit]

    def advice(self, samples: Samples) -> str:
        count = len(np.unique(_units(samples)))
        return _share(self.validation, count, "samples" if samples.together is None else _called(samples))


@dataclass(frozen=True, kw_only=True)
class GroupedSplit(Split):
    """Whole groups: the share `validation` of the values of `column`, ordered by SHA-256("seed:value").

    column: of the data, whose values are the groups. validation: share of the groups. seed: another one divides them
        otherwise.
    """

    column: str
    validation: float = 0.1
    seed: int = 0

    def check(self) -> None:
        _check_share(self, self.validation)

    def validation_rows(self, samples: Samples) -> np.ndarray:
        groups, group = np.unique(_column(self, samples, self.column), return_inverse=True)
        return (_rank(groups, self.seed) < round(self.validation * len(groups)))[group]

    def advice(self, samples: Samples) -> str:
        groups = np.unique(_column(self, samples, self.column))
        return _share(self.validation, len(groups), f"groups in column {self.column!r} ({examples(groups)})")


@dataclass(frozen=True, kw_only=True)
class KFold(Split):
    """Fold number `fold` (from 0) of `folds` is for validation; whole groups where a `column` is given.

    Ids, or groups, are dealt to the folds in turn, in the order of SHA-256("seed:id").
    folds: how many there are. fold: which one validates. column: whose values are groups that stay together.
    seed: another one deals otherwise.
    """

    folds: int = 5
    fold: int = 0
    seed: int = 0
    column: str | None = None

    def check(self) -> None:
        if self.folds < 2 or not 0 <= self.fold < self.folds:
            raise UserError(
                f"KFold: expected folds >= 2 and 0 <= fold < folds, found {self.fold} of {self.folds}"
            )

    def validation_rows(self, samples: Samples) -> np.ndarray:
        return self.numbers(samples) == self.fold

    def advice(self, samples: Samples) -> str:
        units = _units(samples) if self.column is None else _column(self, samples, self.column)
        count, what = (
            len(np.unique(units)),
            _called(samples) if self.column is None else f"values in column {self.column!r}",
        )
        if count < 2:
            return f"{what}: one alone cannot be dealt to folds"
        return f"{count} {what} are dealt to {self.folds} folds: expected at most folds={count}"

    def numbers(self, samples: Samples) -> np.ndarray:
        """(n,) the fold of each sample, from 0."""
        units = _units(samples) if self.column is None else _column(self, samples, self.column)
        groups, group = np.unique(units, return_inverse=True)
        return (_rank(groups, self.seed) % self.folds)[group]


@dataclass(frozen=True, kw_only=True)
class ColumnSplit(Split):
    """As the data say it: rows whose `column` reads `train` or `validation`; others are left out.

    column: that says so. train, validation: what it says of samples to learn from, and to validate on.
    """

    column: str = "split"
    train: str = "train"
    validation: str = "val"

    def split(self, samples: Samples) -> Positions:
        values = _column(self, samples, self.column)
        return _both_sides(
            self, samples, (np.flatnonzero(values == self.train), np.flatnonzero(values == self.validation))
        )


def spread(chosen: np.ndarray, limit: int | None, of: np.ndarray | None = None) -> np.ndarray:
    """`limit` of the ascending positions `chosen` at most, evenly spread; None: all.

    of: (n,) whose each sample is. Of everybody are as many, or all where there are fewer: else some had none.
    """
    count = min(limit or len(chosen), len(chosen))
    if of is None or count == len(chosen):
        return _evenly(chosen, count)
    each = sorted((chosen[of[chosen] == name] for name in np.unique(of[chosen])), key=len)
    found = []
    for number, own in enumerate(each):  # the smallest first: what they leave is for the others
        found.append(_evenly(own, min(count // (len(each) - number), len(own))))
        count -= len(found[-1])
    return np.sort(np.concatenate(found))


def _evenly(chosen: np.ndarray, count: int) -> np.ndarray:
    return chosen[np.arange(count) * len(chosen) // max(count, 1)]


def _rank(names: np.ndarray, seed: int) -> np.ndarray:
    """(n,) the place of each name in the order of SHA-256("seed:name"). Names are unique."""
    hashes = [hashlib.sha256(f"{seed}:{name}".encode()).hexdigest() for name in names.tolist()]
    return np.argsort(np.argsort(np.array(hashes, dtype=str)))


def _units(samples: Samples) -> np.ndarray:
    """(n,) what is dealt to a side as a whole: each sample, or those that belong together."""
    return samples.ids if samples.together is None else samples.together


def _called(samples: Samples) -> str:
    return "ids" if samples.together is None else "images"


def _column(split: Split, samples: Samples, column: str) -> np.ndarray:
    if column not in samples.columns:
        known = examples(samples.columns) or "none (name them in data.columns)"
        raise UserError(f"{split}: no column {column!r}; the data's columns: {known}")
    return np.asarray(samples.columns[column])


def _both_sides(split: Split, samples: Samples, chosen: Positions) -> Positions:
    if not all(len(positions) for positions in chosen):
        advice = split.advice(samples)
        raise UserError(
            f"{split}: of {len(samples)} samples, {len(chosen[0])} are for training and {len(chosen[1])} for "
            f"validation; expected at least one of each{f' ({advice})' if advice else ''}"
        )
    return chosen


def _share(share: float, count: int, what: str) -> str:
    """Why a share of `count` is none, or all, and which one is not."""
    if count < 2:
        return f"{what}: one alone cannot be divided"
    least = 1 / count if round(share * count) == 0 else 1 - 1 / count
    return f"{share:g} of {count} {what} is {round(share * count)}; validation={least:.2g} takes {round(least * count)}"


def _check_share(split: Split, share: float) -> None:
    if not 0 < share < 1:
        raise UserError(f"{type(split).__name__}.validation: expected a share between 0 and 1, found {share}")
