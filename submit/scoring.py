"""A prediction against its solution, joined by id and target name."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from submit import metrics
from submit.align import align, matched, without_ids
from submit.errors import SubmissionError, about, named
from submit.labels import Labels, is_text
from submit.predictions import Predictions
from submit.table import read_header


@dataclass(frozen=True, eq=False)
class Scores:
    """Regression. targets (t,) in the solution's order; pearson, explained_variance and mse (t,), as submit.metrics.

    constant: how many targets have no defined correlation, because a side is constant or not finite; they count 0.
    normalised: r / sqrt(ceiling) of the targets with a ceiling above 0, or None without a ceiling.
    accuracy: the share of equal values when both sides are one column of whole numbers, which may be class numbers.
    """

    samples: int
    targets: np.ndarray
    pearson: np.ndarray
    explained_variance: np.ndarray
    mse: np.ndarray
    constant: int
    normalised: np.ndarray | None = None
    accuracy: float | None = None

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
    """Classification. top5: None where there are no scores for more than five classes."""

    samples: int
    accuracy: float
    classes: int | None = None
    top5: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON; without what does not apply."""
        found = {
            "samples": self.samples,
            "classes": self.classes,
            "accuracy": self.accuracy,
            "top5_accuracy": self.top5,
        }
        return {name: value for name, value in found.items() if value is not None}


def score(
    predictions: Predictions | Labels | str | Path,
    solution: Predictions | Labels | str | Path,
    ceiling: np.ndarray | None = None,
    without: np.ndarray | None = None,
) -> Scores | ClassScores:
    """Scores predictions, or the file that holds them, against a solution or its CSV.

    Both sides numbers: per-target scores, and with `ceiling` (t,) (share of the variance that is signal, 0 to 1, in the
    solution's column order) noise-normalised ones. Logits or probabilities against one column of class names, or
    two columns of class names: accuracy. without: ids left out on both sides, such as those of test images that look
    like training images; ids of other samples among them are passed over.
    Raises SubmissionError when an id or a target of one side is not on the other.
    """
    if isinstance(predictions, str | Path) and Path(predictions).suffix.lower() != ".csv":
        predictions = Predictions.load(predictions)
    if isinstance(solution, str | Path):
        solution = _solution(
            solution, isinstance(predictions, Predictions) and predictions.kind != "regression"
        )
    if isinstance(predictions, str | Path):
        one = isinstance(solution, Labels) and len(read_header(predictions)) == 2
        predictions = Labels.load(predictions) if one else Predictions.load(predictions)
    if without is not None:
        predictions, solution = without_ids(predictions, without), without_ids(solution, without)
    if isinstance(solution, Labels):
        if ceiling is not None:
            raise SubmissionError("A ceiling goes with regression targets; this solution holds class names.")
        return _classification(predictions, solution)
    if isinstance(predictions, Labels):
        raise SubmissionError("The predictions are class names, the solution holds numbers.")
    return _regression(predictions, solution, ceiling)


def _solution(path: str | Path, classes: bool) -> Predictions | Labels:
    """Class names when there is one column of text, or one column of anything and the predictions are of classes."""
    if Path(path).suffix.lower() == ".csv" and len(read_header(path)) == 2:
        labels = Labels.load(path)
        if classes or is_text(labels.labels).any():
            return labels
    return Predictions.load(path)


def _regression(predictions: Predictions, solution: Predictions, ceiling: np.ndarray | None) -> Scores:
    ours, truth = align(predictions, solution.ids, solution.targets).values, solution.values
    if not len(truth):
        raise SubmissionError("There are no samples to score.")
    r = metrics.pearson(ours, truth)
    normalised = None if ceiling is None else metrics.noise_normalised(r, ceiling)
    if normalised is not None and not len(normalised):
        raise SubmissionError("ceiling: every value is 0, so no target can be normalised.")
    whole = ours.shape[1] == 1 and all((np.mod(side, 1) == 0).all() for side in (ours, truth))
    return Scores(
        samples=len(truth),
        targets=solution.targets,
        pearson=r,
        explained_variance=metrics.explained_variance(ours, truth),
        mse=metrics.mse(ours, truth),
        constant=int(metrics.undefined(ours, truth).sum()),
        normalised=normalised,
        accuracy=metrics.accuracy(ours[:, 0], truth[:, 0]) if whole else None,
    )


def _classification(predictions: Predictions | Labels, solution: Labels) -> ClassScores:
    order = matched(predictions.ids, solution.ids, "ids", "the predictions")
    if isinstance(predictions, Labels):
        return ClassScores(len(solution.ids), metrics.accuracy(predictions.labels[order], solution.labels))
    truth = pd.Index(predictions.targets).get_indexer(pd.Index(solution.labels))
    unknown = np.unique(solution.labels[truth < 0])
    if len(unknown):
        raise SubmissionError(
            f"{len(unknown)} classes of the solution are not predicted: {named(unknown, len(unknown))}; "
            f"the predictions know {named(predictions.targets, len(predictions.targets))}."
        )
    values, classes = predictions.values[order], len(predictions.targets)
    top5 = metrics.top_k_accuracy(values, truth, 5) if classes > 5 else None
    return ClassScores(len(truth), metrics.top_k_accuracy(values, truth, 1), classes, top5)


def load_ceiling(path: str | Path) -> np.ndarray:
    """The array in a .npy of noise ceilings. Raises SubmissionError when there is none."""
    with about(path):
        try:
            ceiling = np.load(path, allow_pickle=False)
        except FileNotFoundError:
            raise SubmissionError("there is no such file.") from None
        except (OSError, ValueError, EOFError) as error:
            raise SubmissionError(f"expected a .npy array of one ceiling a target ({error}).") from error
        if not isinstance(ceiling, np.ndarray):
            raise SubmissionError("expected one array (.npy), found an npz.")
        return ceiling


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
