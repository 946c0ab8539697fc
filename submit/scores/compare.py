"""Several predictions of the same samples: the score of each, and how sure their difference to the first is."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from submit.errors import SubmissionError, about
from submit.files.json_text import plain
from submit.labels import Labels
from submit.metrics.table import SCORES
from submit.predictions import Predictions
from submit.scores import bootstrap
from submit.scores.interval import Estimate, Interval
from submit.scores.pairing import PairedClasses, PairedNumbers, paired


@dataclass(frozen=True)
class Compared:
    """score: of one prediction; difference: that less the first prediction's, None for the first itself.

    measure: the label of a score in `submit.metrics.table`. samples: scored; left_out: of the solution, not so.
    """

    name: str
    measure: str
    score: Interval
    difference: Interval | None
    samples: int
    left_out: int

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON; NaN is None."""
        return plain(asdict(self))


def compare(
    predictions: Sequence[str | Path], solution: Predictions | Labels | str | Path, seed: int = 0
) -> list[Compared]:
    """Each file's score by id with its 95 % interval, and its difference to the first's, paired over samples.

    Mean and median Pearson r, or accuracy where the solution holds classes. Raises SubmissionError naming the file
    whose ids or targets are not the solution's; of a validation split, not those of the first file.
    """
    if len(predictions) < 2:
        raise SubmissionError(f"expected two predictions or more to compare; found {len(predictions)}.")
    found: list[Compared] = []
    first: Sequence[Estimate] = ()
    left_out = 0
    for path in predictions:
        with about(path):
            one = paired(path, solution)
            if not first:
                left_out = one.left_out
            elif one.left_out:
                raise SubmissionError(
                    f"{one.left_out:,} ids that the first file predicts are missing from it."
                )
        solution = one.solution()  # read once
        measures, scores = _scored(one, seed)
        for k, (measure, score) in enumerate(zip(measures, scores, strict=True)):
            difference = score.minus(first[k]) if first else None
            found.append(Compared(str(path), measure, score.interval(), difference, len(one.ids), left_out))
        first = first or scores
    return found


def _scored(one: PairedNumbers | PairedClasses, seed: int) -> tuple[tuple[str, ...], Sequence[Estimate]]:
    """The measures, and the score of all samples under each."""
    if isinstance(one, PairedClasses):
        return (SCORES["accuracy"].label,), bootstrap.estimates(
            one.predicted, one.truth, "accuracy", seed=seed
        )
    measures = (SCORES["pearson"].label, SCORES["pearson_median"].label)
    both: tuple[bootstrap.Aggregate, ...] = ("mean", "median")
    return measures, bootstrap.estimates(one.predicted, one.truth, "pearson", both, seed=seed)
