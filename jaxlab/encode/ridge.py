"""Ridge regression from frozen features to all targets at once, its penalties chosen by cross-validation."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

import numpy as np

from jaxlab.core.config import LATER, Component
from jaxlab.core.machine import check_room
from jaxlab.core.precision import loses
from jaxlab.core.subjects import MANY
from jaxlab.core.types import UserError
from jaxlab.data.source import Opened, Source, fingerprint, with_texts
from jaxlab.data.sources.simulated import Simulated
from jaxlab.data.split import KFold
from jaxlab.encode import banded, folds
from jaxlab.encode.bands import Band, measure
from jaxlab.encode.cached import CachedFeatures
from jaxlab.encode.dealt import dealt
from jaxlab.encode.design import ROOM, Design, Designs, combined, together
from jaxlab.encode.encoder import Encoder, texts_read
from jaxlab.encode.extract import FeatureSet
from jaxlab.encode.fitted import Fitted, solve
from jaxlab.encode.folds import Fold, RidgeScore
from jaxlab.encode.joint import ALONE, Arrays, Joint
from jaxlab.metrics import over_targets

_TUNED_ROWS, _TUNED_TARGETS = 2048, 512  # of a large set, those that the bands' weights are learned from
_TUNED_FOLDS = 10  # and for that so many at most: each takes a factorization a step
_SMALLEST, _LARGEST = (float(limit) for limit in (np.finfo(np.float32).tiny, np.finfo(np.float32).max))


@dataclass(frozen=True, kw_only=True)
class Ridge(Component):
    """Ridge regression on what `encoders` make of the images of `data` (as in CachedFeatures), in closed form.

    A band is one layer at one blur. Each is centred and scaled as a whole, so that the mean squared norm of its
    training rows is 1: penalties then mean the same for any network.

    data: where images and targets come from. encoders: the networks, each with its layers, whose features are read.
    blur: standard deviations of a Gaussian filter over space, in shares of the map's height and width; each layer
        that has such is taken at every one of them (0 leaves it as it is).
    combine: "sum" weighs all bands alike, "banded" learns how much each weighs (from ten folds at most, into which more
        are put together), "best" takes the one that predicts best.
    standardize: each unit is first divided by its standard deviation over the training rows, in each fold its own; a
        unit that is silent on nearly all images is not scaled up to the others.
    alphas: penalties; each target takes the one that predicts it best, in the out-of-fold predictions of all folds
        together.
    score: what that means, "pearson" or "r2".
    split: the folds; its own `fold` counts for nothing here.
    limit: learn from so many samples at most; of `Pooled` data from as many of each subject.
    shared: of `Pooled` data, shares of a subject's kernel that come from what the others' regressions have found, of
        which each subject takes the one that predicts it best: as (0.0, 0.25, 0.5, 0.75). () fits each on its own;
        penalties are each one's own either way. Layers are then scaled alike for all, and weighed alike, by the mean of
        what `combine` finds for each (`encode/shared.py` has the formula).
    components: of each other subject's regressions, so many functions are shared at most.
    """

    data: Source = Simulated()
    encoders: tuple[Encoder, ...]
    blur: tuple[float, ...] = (0.0,)
    combine: Literal["sum", "banded", "best"] = "sum"
    standardize: bool = False
    alphas: tuple[float, ...] = tuple(float(alpha) for alpha in np.logspace(-3, 4, 15))
    score: RidgeScore = "pearson"
    split: KFold = KFold()
    limit: int | None = None
    shared: tuple[float, ...] = field(default=(), metadata=LATER)
    components: int = field(default=64, metadata=LATER)

    def check(self) -> None:
        CachedFeatures(data=self.data, encoders=self.encoders)  # the same rules
        if not self.alphas or not all(_SMALLEST <= alpha <= _LARGEST for alpha in self.alphas):
            raise UserError(
                f"Ridge.alphas: expected penalties above 0, found {self.alphas}; they are float32, of "
                f"{_SMALLEST:.2g} to {_LARGEST:.2g}"
            )
        different = len({f"{blur:g}" for blur in self.blur}) == len(self.blur) > 0  # as bands are named
        if not different or not all(0 <= blur < float("inf") for blur in self.blur):
            raise UserError(f"Ridge.blur: expected different shares of the map, 0 or more, found {self.blur}")
        self._check_shared()
        if self.limit is not None and self.limit < self.split.folds:
            raise UserError(f"Ridge.limit: expected one sample a fold or more, found {self.limit}")

    def fingerprint(self, opened: Opened) -> str:
        """Of the labelled data, with the texts that are learned from."""
        return with_texts(fingerprint(opened), texts_read(self.encoders, opened.train))

    def _check_shared(self) -> None:
        if self.components < 1:
            raise UserError(f"Ridge.components: expected 1 or more, found {self.components}")
        if not self.shared:
            return
        if not self.data.pools:
            raise UserError(
                f"Ridge.shared: expected data=Pooled(...), whose subjects share, found {type(self.data).__name__}(...)"
            )
        if not all(0 <= share < 1 for share in self.shared):
            raise UserError(f"Ridge.shared: expected shares, 0 or more and below 1, found {self.shared}")
        if self.combine == "best":
            raise UserError('Ridge.shared: expected combine="sum" or "banded" beside it, found "best"')

    def smoke(self) -> Self:
        """The same on a handful of samples, without weights that would have to be downloaded."""
        cached = CachedFeatures(data=self.data, encoders=self.encoders).smoke()
        split = dataclasses.replace(self.split, folds=2, fold=0)
        return dataclasses.replace(
            self, encoders=cached.encoders, split=split, limit=24 * (MANY if self.data.pools else 1)
        )


def check_designs(config: Ridge, rows: int, shapes: Iterable[tuple[int, ...]]) -> None:
    """Raises UserError where what so many training rows are solved from would not fit into memory.

    shapes: of a sample's features, by layer.
    """
    width = sum(math.prod(shape) * (len(config.blur) if len(shape) == 3 else 1) for shape in shapes)
    folds = min(config.split.folds, rows) if config.standardize else 0
    each = "split.folds (with standardize each has features of its own) and limit" if folds else "limit"
    sums = 2 * 8 * folds * width  # of each fold, and of squares
    check_room("Ridge", {each: 4 * rows * min(rows, width) * (folds + 1) + sums})


@dataclass(frozen=True, eq=False)
class BandScore:
    """How well a band, or all of them, predict: (t,) scores of its out-of-fold predictions, NaN where undefined, each
    target's at its own penalty; and those (t,)."""

    name: str
    score: np.ndarray
    alpha: np.ndarray

    @property
    def mean(self) -> float:
        """Over targets; an undefined one counts as 0, and NaN stands for nothing but such."""
        return over_targets.mean(self.score)


@dataclass(frozen=True, eq=False)
class Outcome:
    """fitted: what predicts. rows: each band's, where there are several, then that of `fitted`.

    out_of_fold: (n, t) predictions of the training rows, each by the folds that it is not in.
    """

    fitted: Fitted
    rows: list[BandScore]
    out_of_fold: np.ndarray


def fit(
    config: Ridge,
    features: FeatureSet,
    targets: np.ndarray,
    fold: np.ndarray,
    step: Callable[[str], None],
    joint: Joint = ALONE,
) -> Outcome:
    """Fit ridge regression. targets: (n, t) numbers; fold: (n,) numbers from 0. step: told what comes next.

    joint: processes that call this as one: each looks after some of the bands, then after some of the targets. The
    first has the whole outcome, the others that of their own targets.
    """
    bands = bands_of(config, features, fold, step, joint, kernels=True)
    own = joint.own(len(bands))
    in_primal = sum(band.width for band in bands) < len(fold)
    designs = Designs(config.standardize, in_primal)
    rows = []
    for band in bands[own] if len(bands) > 1 else ():
        step(f"{band.name}, cross-validation")
        rows.append(_row(config, band.name, _folds(designs(band), fold), targets))
    if len(bands) > 1:
        rows = of_all(bands, rows, joint)
    weights = joint.of_first(
        "weights", lambda: weights_of(config, bands, designs, rows, np.arange(len(fold)), targets, fold, step)
    )
    weighted = list(zip(bands, weights.tolist(), strict=True))
    used = [(band, weight) for band, weight in weighted if weight > 0]
    mine = [(band, weight) for band, weight in weighted[own] if weight > 0]
    name = config.combine if len(bands) > 1 else bands[0].name
    step(f"{name}, cross-validation")
    part = combined((designs(band) for band, _ in mine), [weight for _, weight in mine])
    whole = together(part, in_primal, joint)
    scaled = {band: band.scaling(config.standardize).times(weight) for band, weight in used}
    if targets.shape[1] < joint.count:  # too few to divide: each process fits all of them
        joint = ALONE
    columns = joint.own(targets.shape[1])
    final = list(_folds(whole, fold))
    row = _row(config, name, final, targets[:, columns])
    guessed = np.empty(targets[:, columns].shape, np.float64 if loses(targets) else np.float32)
    for one in final:
        guessed[one.new] = folds.predictions(one, targets[:, columns], row.alpha)
    step(f"{name}, all rows")
    fitted = solve(
        whole.whole(), scaled, targets[:, columns], row.alpha, features.fingerprint, targets.shape[1]
    )
    return whole_of(Outcome(fitted, [*rows, row], guessed), joint)


def bands_of(
    config: Ridge,
    features: FeatureSet,
    fold: np.ndarray,
    step: Callable[[str], None],
    joint: Joint = ALONE,
    kernels: bool = False,
) -> list[Band]:
    """Each layer at each blur; layers without height and width are taken once. joint: each measures some of them.

    kernels: each band's is wanted, too, and made meanwhile if all of them together leave room.

    Raises UserError for features that are not finite.
    """
    asked = [
        (name, blur)
        for name in features.kept
        for blur in (config.blur if features.rows(name).ndim == 4 else (0.0,))
    ]
    own = joint.own(len(asked))
    width = sum(math.prod(features.rows(name).shape[1:]) for name, _ in asked)
    room = len(asked[own]) * 4 * len(fold) ** 2 <= ROOM
    with_products = kernels and not config.standardize and width >= len(fold) and room
    # No fold needs sums of its own where none has a scaling of its own; of many folds they would fill the memory.
    apart = fold if config.standardize else np.zeros_like(fold)
    measured = []
    for name, blur in asked[own]:
        step(f"{name}, mean and variance")
        measured.append(measure(name, blur, features.rows(name), apart, with_products))
    sums = [part for band in measured for part in (band.counts, band.shift, band.sums, band.squares)]
    every = joint.exchanged("mean and variance", sums, _each, everywhere=True)
    assert every is not None
    bands = [
        Band(name, blur, features.rows(name), *every[4 * k : 4 * k + 4])
        for k, (name, blur) in enumerate(asked)
    ]
    bands[own] = measured
    for band in bands:
        band.check(features.ids)
    return bands


def _each(parts: list[Arrays]) -> list[np.ndarray]:
    return [np.array(array) for own in parts for array in own]


def _folds(design: Design, fold: np.ndarray) -> Iterator[Fold]:
    def one(number: int) -> Fold:
        train, new = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        return Fold(design.fold(number, train, new), train, new)

    return dealt(one, range(fold.max() + 1))


def _row(config: Ridge, name: str, by_fold: Iterable[Fold], targets: np.ndarray) -> BandScore:
    """Of equal scores, and where none is defined, the larger penalty is taken."""
    descending = sorted(config.alphas, reverse=True)
    found = folds.scores(by_fold, targets, descending, config.score)
    best = np.where(np.isnan(found.choosing), -np.inf, found.choosing).argmax(0)
    alpha = np.asarray(descending, np.float32)[best]
    return BandScore(name, np.take_along_axis(found.pooled, best[None], axis=0)[0], alpha)


def of_all(bands: Sequence[Band], own: Sequence[BandScore], joint: Joint) -> list[BandScore]:
    """Scores of all bands, of which each process has those of its `own`."""
    parts = [part for row in own for part in (row.score, row.alpha)]
    every = joint.exchanged("scores of bands", parts, _each, everywhere=True)
    assert every is not None
    return [BandScore(band.name, *every[2 * k : 2 * k + 2]) for k, band in enumerate(bands)]


def whole_of(own: Outcome, joint: Joint) -> Outcome:
    """In the first process that of all targets, in the others what it was."""
    if joint.count == 1:
        return own
    *rows, row = own.rows
    parts = [own.out_of_fold, row.score, row.alpha, *own.fitted.by_target]
    every = joint.exchanged("the solution", parts, _side_by_side)
    if every is None:
        return own
    guessed, score, alpha, *fitted = every
    return Outcome(own.fitted.of_targets(fitted), [*rows, BandScore(row.name, score, alpha)], guessed)


def _side_by_side(parts: list[Arrays]) -> list[np.ndarray]:
    return [np.concatenate(each, axis=-1) for each in zip(*parts, strict=True)]


def weights_of(
    config: Ridge,
    bands: Sequence[Band],
    designs: Designs,
    scores: Sequence[BandScore],
    rows: np.ndarray,
    targets: np.ndarray,
    fold: np.ndarray,
    step: Callable[[str], None],
) -> np.ndarray:
    """(b,) of sum 1; equal ones where no band has a score to choose by.

    scores: of each band alone, for "best". rows: (n,) of the bands' rows, those of targets (n, t) and fold (n,).
    """
    equal = np.full(len(bands), 1 / len(bands))
    if len(bands) == 1 or config.combine == "sum":
        return equal
    if config.combine == "best":
        means = np.array([row.mean for row in scores])
        return equal if np.isnan(means).all() else np.eye(len(bands))[np.nanargmax(means)]
    chosen = np.sort(np.random.default_rng(config.split.seed).permutation(len(fold))[:_TUNED_ROWS])
    some = np.linspace(0, targets.shape[1] - 1, min(targets.shape[1], _TUNED_TARGETS)).round().astype(int)
    kernels = np.empty((len(bands), len(chosen), len(chosen)), np.float32)
    for position, band in enumerate(bands):
        kernels[position] = designs.products(band, rows[chosen])
    step("weights of the bands")
    return banded.weights(kernels, targets[np.ix_(chosen, some)], _few(fold[chosen]))


def _few(fold: np.ndarray) -> np.ndarray:
    """(n,) numbers of folds from 0, several put together where there are many."""
    return np.unique(fold, return_inverse=True)[1] % _TUNED_FOLDS
