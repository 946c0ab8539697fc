"""VQA v2's results, a JSON list of {"question_id": int, "answer": str}: written, checked and scored.

The form and the scores by type are those of https://visualqa.org/evaluation.html.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from submit.align import differences, matched
from submit.errors import SubmissionError, about, named, refuse
from submit.files.atomic import atomic
from submit.files.json_text import parsed_json
from submit.formats.format import Format
from submit.labels import Labels
from submit.metrics.vqa import vqa_accuracy
from submit.predictions import Predictions
from submit.provenance.record import keep

_LINES = 10_000  # written at a time
_NUMBER = re.compile(r"0|[1-9][0-9]*")
_TYPES = ("answer_type", "question_type")


@dataclass(frozen=True)
class VQAScores:
    """Mean VQA accuracy, 0 to 1: of all questions, and for each answer_type and question_type.

    As the benchmark's code has it; normalised: of all questions as its description has it, answers normalised also
    where all annotators agree to the letter (`submit.metrics.vqa_accuracy`).
    """

    questions: int
    overall: float
    answer_type: dict[str, float]
    question_type: dict[str, float]
    normalised: float

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON; `normalised` only where it is another."""
        both = {"vqa_accuracy": self.overall, "vqa_accuracy_always_normalised": self.normalised}
        if self.normalised == self.overall:
            del both["vqa_accuracy_always_normalised"]
        return {
            "questions": self.questions,
            **both,
            "answer_type": self.answer_type,
            "question_type": self.question_type,
        }


def write(predictions: Predictions | Labels, path: str | Path, questions: str | Path | None = None) -> Path:
    """Writes the results: of predictions the class with the highest score; ids are question_ids.

    questions: the JSON file of questions, each of which must have an answer.
    Raises SubmissionError with every fault, and then writes nothing.
    """
    labels = Labels.of(predictions) if isinstance(predictions, Predictions) else predictions
    odd = [name for name in labels.ids.tolist() if not _NUMBER.fullmatch(name)]
    faults = [f"{len(odd):,} ids are no question_ids (whole numbers): {named(odd, len(odd))}"] if odd else []
    blank = labels.ids[np.char.strip(labels.labels) == ""]
    if len(blank):
        faults.append(f"{len(blank):,} questions have an empty answer: {named(blank, len(blank))}")
    if questions is not None:
        faults += differences(labels.ids, read_question_ids(questions), "questions", "the predictions")
    refuse(path, faults)
    with atomic(path) as file:
        file.write(b"[")
        for start in range(0, len(labels.ids), _LINES):
            some = slice(start, start + _LINES)
            rows = zip(labels.ids[some].tolist(), labels.labels[some].tolist(), strict=True)
            lines = [
                f'{{"question_id": {number}, "answer": {json.dumps(answer)}}}' for number, answer in rows
            ]
            file.write(((",\n" if start else "") + ",\n".join(lines)).encode())
        file.write(b"]\n")
    keep(
        path,
        {"format": FORMAT.name, **(predictions.provenance if isinstance(predictions, Predictions) else {})},
    )
    return Path(path)


def check(results: str | Path, questions: str | Path | None = None) -> list[str]:
    """Every fault of a results file: entries that are none, types, empty answers, questions missing or repeated.

    questions: the JSON file of questions. Raises SubmissionError only for one that cannot be used.
    """
    wanted = None if questions is None else read_question_ids(questions)
    try:
        entries = _read_results(results)
    except SubmissionError as error:
        return [str(error)]
    faults = _entry_faults(entries)
    if wanted is not None:
        ids = [str(entry["question_id"]) for entry in entries if _has_number(entry)]
        faults += differences(np.array(ids, np.str_), wanted, "questions", "the results")
    return faults


def score(results: Predictions | Labels | str | Path, annotations: str | Path) -> VQAScores:
    """VQA accuracy of results (a JSON file, a predictions npz, a CSV of two columns, or predictions).

    annotations: the JSON file {"annotations": [{question_id, answer_type, question_type, answers: [{answer}]}]}.
    Raises SubmissionError unless every annotated question has one answer, and no other has.
    """
    labels = _labels(results)
    entries = _entries(annotations, "annotations", ("question_id", "answers", *_TYPES))
    with about(annotations):
        answers = [_annotators_answers(entry) for entry in entries]
        if len(lengths := Counter(map(len, answers))) > 1 or min(lengths) < 2:
            raise SubmissionError(
                f"expected as many answers (10) to each question, found {', '.join(map(str, sorted(lengths)))}."
            )
    ids = np.array([str(entry["question_id"]) for entry in entries], np.str_)
    order = matched(labels.ids, ids, "questions", "the results")
    ours = labels.labels[order].tolist()
    accuracy = vqa_accuracy(ours, answers)
    always = float(vqa_accuracy(ours, answers, "normalised").mean())
    by_answer, by_question = (_means(accuracy, [str(entry[kind]) for entry in entries]) for kind in _TYPES)
    return VQAScores(len(ids), float(accuracy.mean()), by_answer, by_question, always)


def read_question_ids(path: str | Path) -> np.ndarray:
    """(n,) the question_ids of a questions file as text, unique. Raises SubmissionError for what is none."""
    ids = [str(entry["question_id"]) for entry in _entries(path, "questions", ("question_id",))]
    return np.array(ids, np.str_)


def _means(accuracy: np.ndarray, kinds: Sequence[str]) -> dict[str, float]:
    means = pd.Series(accuracy).groupby(list(kinds)).mean()
    return {str(kind): float(mean) for kind, mean in means.items()}


def _labels(results: Predictions | Labels | str | Path) -> Labels:
    if isinstance(results, Labels):
        return results
    if isinstance(results, Predictions):
        return Labels.of(results)
    if Path(results).suffix.lower() == ".json":
        entries = _read_results(results)
        if faults := _entry_faults(entries):
            raise SubmissionError(f"{results}: " + "; ".join(faults) + ".")
        ids = np.array([str(entry["question_id"]) for entry in entries], np.str_)
        return Labels(ids, np.array([entry["answer"] for entry in entries], np.str_))
    if Path(results).suffix.lower() == ".csv":
        return Labels.load(results)
    with about(results):
        return Labels.of(Predictions.load(results))


def _has_number(entry: Any) -> bool:
    return isinstance(entry, dict) and type(entry.get("question_id")) is int


def _entry_faults(entries: Sequence[Any]) -> list[str]:
    tests = {
        "are no objects with just question_id and answer": lambda entry: (
            not isinstance(entry, dict) or entry.keys() != {"question_id", "answer"}
        ),
        "have a question_id that is no whole number": lambda entry: (
            isinstance(entry, dict) and "question_id" in entry and not _has_number(entry)
        ),
        "have an answer that is no text": lambda entry: (
            isinstance(entry, dict) and "answer" in entry and not isinstance(entry["answer"], str)
        ),
        "have an empty answer": lambda entry: (
            isinstance(entry, dict) and isinstance(entry.get("answer"), str) and not entry["answer"].strip()
        ),
    }
    found = {what: [entry for entry in entries if test(entry)] for what, test in tests.items()}
    faults = [f"{len(bad):,} entries {what}: {named(bad, len(bad), 3)}" for what, bad in found.items() if bad]
    numbers = Counter(entry["question_id"] for entry in entries if _has_number(entry))
    again = [number for number, count in numbers.items() if count > 1]
    if again:
        faults.append(f"{len(again):,} question_ids occur more than once: {named(again, len(again))}")
    return faults


def _read_json(path: str | Path, encoding: str = "utf-8-sig") -> Any:
    with about(path):
        try:
            return parsed_json(Path(path).read_text(encoding=encoding))
        except OSError as error:
            raise SubmissionError(f"the file cannot be read ({error.strerror or error}).") from error
        except (ValueError, RecursionError) as error:
            raise SubmissionError(f"expected JSON ({error}).") from error


def _read_results(path: str | Path) -> list[Any]:
    content = _read_json(path, "utf-8")  # the benchmark's code takes no mark of the byte order
    if not isinstance(content, list):
        raise SubmissionError(
            f'{path}: expected a list of {{"question_id": ..., "answer": ...}}, found {type(content).__name__}.'
        )
    if not content:
        raise SubmissionError(f"{path}: expected answers, found none.")
    return content


def _entries(path: str | Path, name: str, keys: Sequence[str]) -> list[dict[str, Any]]:
    """The list under `name`, each entry with all of `keys` and no question_id twice."""
    content = _read_json(path)
    with about(path):
        found = content.get(name) if isinstance(content, dict) else None
        if not isinstance(found, list) or not found:
            raise SubmissionError(f"expected a list under the key {name!r}, found none.")
        bad = [
            k for k, entry in enumerate(found) if not isinstance(entry, dict) or not entry.keys() >= set(keys)
        ]
        if bad:
            raise SubmissionError(
                f"{len(bad):,} of {len(found):,} {name} lack one of {', '.join(keys)}: "
                f"number {named(bad, len(bad))}, counted from 0."
            )
        again = [n for n, count in Counter(str(entry["question_id"]) for entry in found).items() if count > 1]
        if again:
            raise SubmissionError(
                f"{len(again):,} question_ids occur more than once: {named(again, len(again))}."
            )
    return found


def _annotators_answers(entry: dict[str, Any]) -> list[str]:
    try:
        return [str(answer["answer"]) for answer in entry["answers"]]
    except (TypeError, KeyError):
        raise SubmissionError(
            f"question {entry['question_id']}: expected answers as a list of {{'answer': ...}}."
        ) from None


def _write_file(predictions: Path, path: Path, questions: Path | None) -> list[Path]:
    csv = predictions.suffix.lower() == ".csv"
    return [write(Labels.load(predictions) if csv else Predictions.load(predictions), path, questions)]


FORMAT = Format(
    name="vqa",
    writes=(".json",),
    reads=(".json",),
    recognise=lambda file: file.suffix == ".json",
    write=_write_file,
    check=check,
    against="VQA's questions",
    title="VQA's JSON",
    usage=("a JSON. --against the JSON of questions",),
)
