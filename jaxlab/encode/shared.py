"""Ridge regressions of several subjects, each helped by what the others' have found.

Subjects s have images of their own, with features phi, and targets that nobody else has: what they can share is where
in the space of features their weights lie. Ridge regression is the posterior mean under weights of covariance I; here
the covariance of subject s is (1 - share) I + share * sum of w_t w_t' over the weights w_t of the others' targets, each
fitted by ridge regression on the images of its own subject alone. So its kernel is (1 - share) <phi(x), phi(x')> +
share * <z(x), z(x')>, where z(x) are the others' predictions, of standardised targets. Scaled to the same mean over the
subject's training rows, so that share = 0 is ridge regression on its own. What the others say of an image in a fold
comes from regressions without any subject's rows that show an image of this fold.

Of each subject's functions the `components` with the largest norm are kept, by a singular value decomposition in the
space of features: the best approximation of that covariance of this rank.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jaxlab.core.precision import loses
from jaxlab.encode import folds
from jaxlab.encode.eigen import Basis, centred, dual
from jaxlab.encode.folds import Fold, RidgeScore, coefficients, standardised
from submit.late import Late

if TYPE_CHECKING:
    from scipy import linalg
else:
    linalg = Late("scipy.linalg")

Numbers = Sequence[float]
_SMALL = 1e-10  # of the largest function's square norm: less is rounding


@dataclass(frozen=True, eq=False)
class Subject:
    """rows: (n,) ascending, of all subjects' training rows. targets: (n, t). fold: (n,) numbers that all share."""

    rows: np.ndarray
    targets: np.ndarray
    fold: np.ndarray

    @property
    def numbers(self) -> list[int]:
        """Its folds."""
        return np.unique(self.fold).tolist()

    def divided(self, number: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Positions among its rows that are learned from, and those of fold `number`; None: all, and none."""
        new = np.zeros(len(self.fold), bool) if number is None else self.fold == number
        return np.flatnonzero(~new), np.flatnonzero(new)


@dataclass(frozen=True, eq=False)
class Chosen:
    """What cross-validation took: (t,) penalties, their (t,) scores, and the share; and what they predict, (n, t)."""

    alpha: np.ndarray
    score: np.ndarray
    share: float
    out_of_fold: np.ndarray


def components(
    kernel: np.ndarray, subject: Subject, alpha: np.ndarray, count: int, numbers: Sequence[int | None]
) -> dict[int | None, np.ndarray]:
    """{fold: (n, k)} weights of its rows, 0 of those in the fold, of what most of its regressions have in common.

    The sums over k of products of what they predict for two images are those over its targets, of the `count` largest.
    """
    _, _, scale = standardised(subject.targets)
    found: dict[int | None, np.ndarray] = {}
    for number in numbers:
        learn, new = subject.divided(number)
        if not len(new):
            number = None
        if number not in found:
            basis = _basis(kernel, learn, learn[:0])
            weights = coefficients(basis, basis.left, subject.targets[learn], alpha)
            weights = weights / np.where(scale > 0, scale, np.inf)[None]
            leading = _leading(basis, weights, count)
            found[number] = np.zeros((len(kernel), leading.shape[1]), np.float32)
            found[number][learn] = leading
    return {number: found.get(number, found.get(None)) for number in numbers}  # type: ignore[misc]


def choose(
    kernel: np.ndarray,
    subject: Subject,
    alphas: Numbers,
    score: RidgeScore,
    share: float = 0.0,
    told: Mapping[int | None, np.ndarray] | None = None,
) -> Chosen:
    """Each target's penalty that predicts it best out of fold with this share of what others told.

    kernel: (n, n) of its rows. told: {fold: (n, k)} what others predict for them.
    """
    by_fold = []
    for number in subject.numbers:
        learn, new = subject.divided(number)
        seen = kernel if told is None else mixed(kernel, told[number], learn, share)
        by_fold.append(Fold(_basis(seen, learn, new), learn, new))
    alpha, reached = _best(by_fold, subject, alphas, score)
    return Chosen(alpha, reached, share, _predicted(by_fold, subject, alpha))


def best(choices: Sequence[Chosen]) -> Chosen:
    """The one that predicts all targets together best, the smaller share of equal ones; undefined scores count as 0."""
    means = [np.nan_to_num(one.score).mean() for one in choices]
    return choices[int(np.argmax(means))]


def mixed(kernel: np.ndarray, told: np.ndarray, learn: np.ndarray, share: float) -> np.ndarray:
    """(n, n) kernel of a subject's rows with what others told of them: `factors` of both."""
    own, others = factors(kernel, told, learn, share)
    return own * kernel + others * (told.astype(np.float64) @ told.T) if others else own * kernel


def factors(kernel: np.ndarray, told: np.ndarray, learn: np.ndarray, share: float) -> tuple[float, float]:
    """By which its own kernel and that of what others told are multiplied; `learn`: rows that are learned from.

    Together (1 - share) and share of what the kernel is on average over these rows, each centred. Others who tell
    nothing leave all to its own.
    """
    above = told[learn].astype(np.float64) - told[learn].mean(0, dtype=np.float64)
    size = np.square(above).sum(1).mean()
    block = kernel[np.ix_(learn, learn)].astype(np.float64)
    usual = np.diag(block).mean() - block.mean()
    if not share or size <= 1e-12 * usual:
        return 1.0, 0.0
    return 1 - share, share * usual / size


def solution(
    kernel: np.ndarray,
    subjects: Mapping[str, Subject],
    name: str,
    functions: Mapping[str, np.ndarray],
    chosen: Chosen,
) -> tuple[np.ndarray, np.ndarray]:
    """(n_all, t) float32 weights of all subjects' rows, and (t,) float64 intercepts, of one subject.

    kernel: of all rows. functions: {other subject: (n, k) `components` of all its rows}.
    """
    own = subjects[name]
    everything, _ = own.divided(None)
    told = said(kernel, subjects, name, functions)
    block = kernel[np.ix_(own.rows, own.rows)]
    first, second = factors(block, told, everything, chosen.share)
    basis = _basis(mixed(block, told, everything, chosen.share), everything, everything[:0])
    weights = coefficients(basis, basis.left, own.targets, chosen.alpha)
    found = np.zeros((len(kernel), weights.shape[1]), np.float32)
    found[own.rows] = first * weights
    start = 0
    for other, function in functions.items():
        part = told[:, start : start + function.shape[1]]
        found[subjects[other].rows] = second * (function @ (part.T @ weights))
        start += function.shape[1]
    predicted = kernel[own.rows].astype(np.float64) @ found
    return found, own.targets.mean(0, dtype=np.float64) - predicted.mean(0)


def said(
    kernel: np.ndarray, subjects: Mapping[str, Subject], name: str, functions: Mapping[str, np.ndarray]
) -> np.ndarray:
    """(n, k) what others' functions predict for the rows of one subject, less a constant each."""
    rows = subjects[name].rows
    nobody = np.zeros((len(rows), 0), np.float32)
    each = (kernel[np.ix_(rows, subjects[other].rows)] @ function for other, function in functions.items())
    return np.concatenate([nobody, *each], 1)


def _basis(kernel: np.ndarray, learn: np.ndarray, new: np.ndarray) -> Basis:
    rows = kernel[:, learn].astype(np.float64)
    return dual(*centred(rows[learn], rows[new]))


def _best(
    by_fold: Sequence[Fold], subject: Subject, alphas: Numbers, score: RidgeScore
) -> tuple[np.ndarray, np.ndarray]:
    """Each target's penalty, the larger of equal ones, and its score."""
    descending = sorted(alphas, reverse=True)
    found = folds.scores(by_fold, subject.targets, descending, score)
    best = np.where(np.isnan(found.choosing), -np.inf, found.choosing).argmax(0)
    return np.asarray(descending, np.float32)[best], np.take_along_axis(found.pooled, best[None], axis=0)[0]


def _predicted(by_fold: Sequence[Fold], subject: Subject, alpha: np.ndarray) -> np.ndarray:
    guessed = np.empty(subject.targets.shape, np.float64 if loses(subject.targets) else np.float32)
    for fold in by_fold:
        guessed[fold.new] = folds.predictions(fold, subject.targets, alpha)
    return guessed


def _leading(basis: Basis, weights: np.ndarray, count: int) -> np.ndarray:
    """(n, k) weights @ V: of functions with these weights of rows (n, t), the orthogonal ones of largest norm.

    From the smaller of the two matrices of products: of 40,000 targets, or rows, there may be.
    """
    values = np.sqrt(basis.values)[:, None] * (basis.left.T @ weights)  # in an orthonormal basis, (n, t)
    wide = values.shape[1] > values.shape[0]
    products = (values @ values.T if wide else values.T @ values).astype(np.float64)
    squares, vectors = linalg.eigh(products, driver="evd", overwrite_a=True, check_finite=False)
    kept = np.flatnonzero(squares > _SMALL * squares[-1])[::-1][:count]
    right = vectors[:, kept]
    if wide:
        right = values.T @ right / np.sqrt(squares[kept])[None]
    return (weights @ right).astype(np.float32)
