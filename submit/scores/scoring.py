"""A prediction against its solution, joined by id and target name."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from submit import metrics
from submit.errors import SubmissionError, about
from submit.files.npy import load_npy
from submit.files.usage import IGNORED, read_usage
from submit.labels import Labels
from submit.predictions import Predictions
from submit.scores.pairing import PairedClasses, PairedNumbers, paired


@dataclass(frozen=True, eq=False)
class Scores:
    """Regression. targets (t,) in the solution's order; pearson, explained_variance and mse (t,), as submit.metrics.

    constant: how many targets have no defined correlation, because a side is constant or not finite; they count 0.
    normalised: r / sqrt(ceiling) of the targets with a ceiling above 0, or None without a ceiling.
    accuracy: the share of equal values when both sides are one column of whole numbers, which may be class numbers.
    left_out: how many samples of the solution are not predicted, of a validation split.
    constant_truth: how many of `constant` are so on the solution's side.
    """

    samples: int
    targets: np.ndarray
    pearson: np.ndarray
    explained_variance: np.ndarray
    mse: np.ndarray
    constant: int
    normalised: np.ndarray | None = None
    accuracy: float | None = None
    left_out: int = 0
    constant_truth: int = 0

    @property
    def mean(self) -> float:
        """Mean Pearson r over targets."""
        return float(self.pearson.mean())

    @property
    def median(self) -> float:
        """Median Pearson r over targets."""
        return float(np.median(self.pearson))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON; what is undefined or not finite is None."""
        result: dict[str, Any] = {
            "samples": self.samples,
            "targets": len(self.targets),
            "constant_targets": self.constant,
            "pearson_mean": self.mean,
            "pearson_median": self.median,
            "explained_variance_mean": _number(self.explained_variance.mean()),
            "explained_variance_median": _number(np.median(self.explained_variance)),
            "mse": _number(self.mse.mean()),
        }
        if self.constant_truth:
            result["constant_in_truth"] = self.constant_truth
        if self.left_out:
            result["left_out"] = self.left_out
        if self.normalised is not None:
            result["noise_normalised_mean"] = float(self.normalised.mean())
            result["noise_normalised_median"] = float(np.median(self.normalised))
            result["noise_normalised_targets"] = len(self.normalised)
        if self.accuracy is not None:
            result["accuracy"] = self.accuracy
        result["per_target"] = dict(zip(self.targets.tolist(), self.pearson.tolist(), strict=True))
        return result


@dataclass(frozen=True)
class ClassScores:
    """Classification. top5: None where there are no scores for more than five classes. left_out: as in Scores."""

    samples: int
    accuracy: float
    classes: int | None = None
    top5: float | None = None
    left_out: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON; without what does not apply."""
        found = {
            "samples": self.samples,
            "left_out": self.left_out or None,
            "classes": self.classes,
            "accuracy": self.accuracy,
            "top5_accuracy": self.top5,
        }
        return {name: value for name, value in found.items() if value is not None}


def score(
    predictions: Predictions | Labels | str | Path,
    solution: Predictions | Labels | str | Path,
    ceiling: np.ndarray | str | Path | None = None,
    without: np.ndarray | None = None,
) -> Scores | ClassScores:
    """Scores predictions, or the file that holds them, against a solution or its CSV.

    Both sides numbers: per-target scores, and with `ceiling` (t,) or its .npy (share of the variance that is signal, 0
    to 1, in the solution's column order) noise-normalised ones. Logits or probabilities against one column of class
    names, or two columns of class names: accuracy. without: ids left out on both sides, such as those of test images
    that look like training images; ids of other samples among them are passed over. Predictions of a validation split,
    or out of fold, may go with a train.csv, whose further samples are left out.
    Raises SubmissionError when otherwise an id or a target of one side is not on the other.
    """
    return score_pair(paired(predictions, solution, without), ceiling)


def score_pair(
    pair: PairedNumbers | PairedClasses, ceiling: np.ndarray | str | Path | None = None
) -> Scores | ClassScores:
    """`score` of predictions that are beside their solution already."""
    if isinstance(pair, PairedNumbers):
        return _regression(pair, ceiling)
    if ceiling is not None:
        raise SubmissionError("A ceiling goes with regression targets; this solution holds class names.")
    return _classification(pair)


def score_by_usage(
    pair: PairedNumbers | PairedClasses, solution: str | Path, ceiling: np.ndarray | str | Path | None = None
) -> dict[str, Scores | ClassScores]:
    """Public and Private -> the score of these rows of a pair, of a solution in Kaggle's own form; empty for any other.

    A usage of which the pair has no row is not there.
    """
    rows = {
        name: pd.Index(pair.ids).isin(ids) for name, ids in read_usage(solution).items() if name != IGNORED
    }
    return {name: score_pair(pair.of(kept), ceiling) for name, kept in rows.items() if kept.any()}


def _regression(pair: PairedNumbers, ceiling: np.ndarray | str | Path | None) -> Scores:
    ours, truth = pair.predicted, pair.truth
    r = metrics.pearson(ours, truth)
    normalised = None if ceiling is None else _normalised(r, ceiling)
    whole = ours.shape[1] == 1 and all(_are_whole(side) for side in (ours, truth))
    return Scores(
        samples=len(truth),
        targets=pair.targets,
        pearson=r,
        explained_variance=metrics.explained_variance(ours, truth),
        mse=metrics.mse(ours, truth),
        constant=int(metrics.undefined(ours, truth).sum()),
        normalised=normalised,
        accuracy=metrics.accuracy(ours[:, 0], truth[:, 0]) if whole else None,
        left_out=pair.left_out,
        constant_truth=int(metrics.undefined(truth, truth).sum()),
    )


def _are_whole(values: np.ndarray) -> bool:
    """Whether all are whole numbers that float64 tells apart, as numbers of classes are."""
    return bool((np.mod(values, 1) == 0).all() and (np.abs(values) <= 2**53).all())


def _normalised(r: np.ndarray, ceiling: np.ndarray | str | Path) -> np.ndarray:
    if isinstance(ceiling, str | Path):
        with about(ceiling):
            return _normalised(r, load_ceiling(ceiling))
    normalised = metrics.noise_normalised(r, ceiling)
    if not len(normalised):
        raise SubmissionError("ceiling: every value is 0, so no target can be normalised.")
    return normalised


def _classification(pair: PairedClasses) -> ClassScores:
    accuracy = metrics.accuracy(pair.predicted, pair.truth)
    if pair.scores is None:
        return ClassScores(len(pair.ids), accuracy, left_out=pair.left_out)
    classes = len(pair.classes)
    top5 = metrics.top_k_accuracy(pair.scores, pair.truth, 5) if classes > 5 else None
    return ClassScores(len(pair.ids), accuracy, classes, top5, pair.left_out)


def load_ceiling(path: str | Path) -> np.ndarray:
    """The array in a .npy of noise ceilings. Raises SubmissionError when there is none."""
    return load_npy(path, "a .npy array of one ceiling a target")


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
