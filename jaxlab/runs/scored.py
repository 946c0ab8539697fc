"""What each variant of a study scored, kept in the study's directory: scores.json and scores.csv.

scores.json has, by variant, the digests of the checkpoints that were scored: what is there of these is not made again.
scores.csv is the same as a long table. Both are written whole or not at all.
"""

import csv
import io
import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxlab.core.files import read_json
from jaxlab.core.intervals import Interval, interval
from jaxlab.core.types import FileWarning, UserError
from jaxlab.evaluate.scores import TargetScores, scores_of, scores_over, target_scores
from jaxlab.objectives import Resolved
from jaxlab.pretext import PRETEXT
from jaxlab.runs.run import NamedScores, Run, Which, numbers
from submit import Predictions, SubmissionError
from submit.files.atomic import atomic

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
COLUMNS = ("variant", "checkpoint", "split", "class", "score", "value")
_CONFUSED = 100  # classes: of more the counts would fill scores.json
OVERALL = ""  # the class of scores that are of all classes
Key = tuple[str, str, str, str]  # checkpoint, split, class, score
Predicted = Callable[[Any], Predictions]  # of the test images, by a checkpoint


class Row(NamedTuple):
    """A line of scores.csv; its class is "" of a score of all classes, and of regression."""

    variant: str
    checkpoint: str
    split: str
    of_class: str
    score: str
    value: float


def scores_kept(folder: Path) -> dict[str, Any]:
    """{variant: its record} of a study's scores.json; {} where there is none that can be read."""
    try:
        found = read_json(folder / "scores.json").get("variants", {})
    except UserError:
        return {}
    return found if isinstance(found, dict) else {}


def record_of(run: Run, kept: Any = None) -> dict[str, Any]:
    """{"digests", "scores": {checkpoint: {split: scores}}, "by_class": {split: details}} of a variant.

    Scores of the test images too, where the data bring their truth; those of each class, with what is taken for what,
    by the last checkpoint. kept: an earlier record, which is taken where it is of the same checkpoints.
    """
    if is_current(run, kept):
        return kept
    digests, scores = _digests(run), run.recorded()
    predicted = cache(partial(run.predict_split, "test"))  # of classes they are asked for twice
    tested = {"last": test_scores(run, "last", predicted)}
    if "best" in scores:
        same = digests["best"] == digests["last"]
        tested["best"] = tested["last"] if same else test_scores(run, "best", predicted)
    for which, found in tested.items() if any(tested.values()) else ():
        scores.setdefault(which, {})["test"] = found
    known = {which: {split: finite(one) for split, one in of.items()} for which, of in scores.items()}
    return {"digests": digests, "scores": known, "by_class": dict(_by_class(run, predicted))}


def is_current(run: Run, kept: Any) -> bool:
    """Whether a record is whole, of the run's checkpoints as they are, and with what watchers have validated since."""
    if not isinstance(kept, dict) or kept.keys() < {"digests", "scores", "by_class"}:
        return False
    known = {(which, split) for which, scores in kept["scores"].items() for split in scores}
    now = {(which, split) for which, scores in run.recorded().items() for split in scores}
    return bool(kept["digests"] == _digests(run)) and now <= known


def _digests(run: Run) -> dict[str, list[str]]:
    places: tuple[Which, ...] = ("best", "last")
    return {
        str(which): [member.checkpoint(which).meta()["digest"] for member in run.members] for which in places
    }


def finite(named: Mapping[str, Any]) -> dict[str, Any]:
    """The same with None for numbers that are not: JSON has no NaN."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in named.items()
    }


def test_truth(run: Run) -> np.ndarray | None:
    """Of the samples to predict, where the data bring it along, as simulated ones do."""
    samples, one = run.test[0], run.primary
    own = one.of == one.usual_truth or (samples is not None and one.of in samples.columns)
    if samples is None or one.teacher is not None or not own:
        return None
    truth = one.truth(samples)
    return None if truth is None or not len(truth) else one.scored(truth)


def solution_of(run: Run) -> Path | None:
    """A solution.csv beside the sample submission, of data that do not bring the truth of their test images."""
    samples, sample = run.test
    made = run.primary.of == PRETEXT  # which no solution has
    beside = None if samples is None or sample is None or made else sample.with_name("solution.csv")
    return beside if beside is not None and run.predicts is None and beside.is_file() else None


def test_scores(run: Run, which: Any, predicted: Predicted) -> NamedScores:
    """{} where the truth of the test images is not known. Not noise-normalised: the ceiling is the labelled images'."""
    if run.subjects:
        return _of_subjects(run, which)
    if (truth := test_truth(run)) is not None:
        return scores_of(predicted(which).values, truth, answer_types=run.primary.answer_types)
    pair: Any = _solved(run, which, predicted)
    if pair is None:
        return {}
    return scores_of(pair.predicted if pair.kind == "regression" else pair.scores, pair.truth)


def _of_subjects(run: Run, which: Any) -> NamedScores:
    """Over the targets of all subjects whose test images' truth is known."""
    each = (_of_subject(run.subject(name), which) for name in run.subjects)
    parts = [part for part in each if part is not None]
    return scores_over(parts) if parts else {}


def _of_subject(run: Run, which: Any) -> TargetScores | None:
    if run.test[0] is None:
        return None
    predicted = cache(partial(run.predict_split, "test"))
    if (truth := test_truth(run)) is not None:
        return target_scores(predicted(which).values, truth)
    pair = _solved(run, which, predicted)
    return None if pair is None else target_scores(pair.predicted, pair.truth)


def _solved(run: Run, which: Any, predicted: Predicted) -> Any:
    """Predictions beside their solution, by id; None where there is none or, which is said, it does not fit."""
    from submit.scores import pairing

    if (solution := solution_of(run)) is None:
        return None
    try:
        return pairing.paired(predicted(which), solution)
    except SubmissionError as error:
        warnings.warn(f"{solution} is not what is predicted: {error}", FileWarning, stacklevel=1)
        return None


def _by_class(run: Run, predicted: Predicted) -> Iterator[tuple[str, dict[str, Any]]]:
    if run.kind != "classification" or run.primary.of == PRETEXT:
        return
    for labelled, found in run.breakdowns("last"):
        yield labelled.split, _details(found)
    if (truth := test_truth(run)) is not None:
        yield "test", _details(_compared(run.primary, predicted("last").values, run.primary.single(truth)))
    elif (pair := _solved(run, "last", predicted)) is not None:
        from submit.scores import by_class

        yield "test", _details(by_class.by_class(pair))


def _compared(objective: Resolved, values: np.ndarray, truth: np.ndarray) -> Any:
    from submit.scores import by_class, pairing

    predicted = np.where(np.isfinite(values).all(1), values.argmax(1), -1)
    ids, place = np.arange(len(values)).astype(str), np.arange(len(values))
    classes = np.array(objective.targets)
    pair = pairing.PairedClasses(ids, classes, predicted, truth, values, place, scores_kind="logits")
    return by_class.by_class(pair)


def _details(found: Any) -> dict[str, Any]:
    counts = found.confusion
    confusion = None if counts is None or len(counts) > _CONFUSED else counts.tolist()
    each = {
        one.name: {"precision": one.precision, "recall": one.recall, "f1": one.f1} for one in found.classes
    }
    return {"classes": {name: finite(scores) for name, scores in each.items()}, "confusion": confusion}


def rows_of(variant: str, record: Mapping[str, Any]) -> Iterator[Row]:
    """Its lines."""
    for which, by_split in record["scores"].items():
        for split, scores in by_split.items():
            for score, value in numbers(scores).items():
                yield Row(variant, which, split, OVERALL, score, value)
    for split, details in record["by_class"].items():
        for name, scores in details["classes"].items():
            for score, value in numbers(scores).items():
                yield Row(variant, "last", split, name, score, value)


def confused(
    records: list[dict[str, Any]], classes: Sequence[str]
) -> dict[str, tuple[np.ndarray, list[str]]]:
    """{split: (counts (c, c) over all records, names of these classes)}: a row a true class, a column a predicted one.

    Splits of which a record has no counts, as of thousands of classes, are left out.
    """
    found = {}
    for split in records[0]["by_class"]:
        parts = [record["by_class"].get(split, {}) for record in records]
        if any(part.get("confusion") is None for part in parts):
            continue
        there = {name for part in parts for name in part["classes"]}
        names = [name for name in classes if name in there]
        counts = np.zeros((len(names), len(names)), np.int64)
        for part in parts:
            place = [names.index(name) for name in part["classes"]]
            counts[np.ix_(place, place)] += np.array(part["confusion"])
        found[split] = (counts, names)
    return found


def write_scores(folder: Path, records: Mapping[str, Mapping[str, Any]], rows: list[Row]) -> None:
    """scores.csv, then scores.json. Raises SubmissionError where the disk refuses."""
    with atomic(folder / "scores.csv") as file:
        file.write(csv_text(COLUMNS, rows).encode())
    summary = [
        {**dict(zip(COLUMNS[1:-1], key, strict=True)), **finite(found._asdict())}
        for key, found in summed(rows).items()
    ]
    with atomic(folder / "scores.json") as file:
        data = {"schema": SCHEMA, "variants": records, "summary": summary}
        file.write((json.dumps(data, indent=1, allow_nan=False) + "\n").encode())


def csv_text(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table with exact numbers, and nothing where one is undefined."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return repr(value) if math.isfinite(value) else ""


def by_key(rows: Sequence[Row]) -> dict[Key, dict[str, float]]:
    """{(checkpoint, split, class, score): {variant: value}}."""
    found: dict[Key, dict[str, float]] = {}
    for row in rows:
        found.setdefault((row.checkpoint, row.split, row.of_class, row.score), {})[row.variant] = row.value
    return found


def summed(rows: Sequence[Row]) -> dict[Key, Interval]:
    """{(checkpoint, split, class, score): mean, sd and interval over variants}."""
    return {key: interval(list(values.values())) for key, values in by_key(rows).items()}


def frame(rows: list[Row]) -> "pd.DataFrame":
    """A long table with the columns of scores.csv."""
    import pandas as pd

    return pd.DataFrame(rows, columns=list(COLUMNS))
