"""Answers to questions as a JSON list of {question: its name, "answer": str}: what VQA v2 and VizWiz have in common."""

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from submit.alignment import differences, matched
from submit.errors import SubmissionError, about, named, refuse
from submit.files.atomic import atomic
from submit.files.json_text import parsed_json
from submit.labels import Labels
from submit.metrics.vqa import vqa_accuracy
from submit.predictions import Predictions
from submit.provenance.record import keep

_BEGINNING = 4096  # characters of a file, among which its first entry begins
_LINES = 10_000  # written at a time
_Hook = Callable[[dict[str, Any]], Any]
_NUMBER = re.compile(r"0|[1-9][0-9]*")


@dataclass(frozen=True)
class AnswerFile:
    """How a benchmark names a question.

    key: of each result. whole: whether its value is a whole number; else it is text.
    listed: whether questions and annotations are a list themselves, and not one under a key of that name.
    """

    key: str
    whole: bool
    listed: bool

    @cached_property
    def _type(self) -> type[int] | type[str]:
        return int if self.whole else str

    @property
    def _kind(self) -> str:
        return "whole number" if self.whole else "text"

    def write(
        self,
        predictions: Predictions | Labels,
        path: str | Path,
        questions: str | Path | None,
        form: str,
    ) -> Path:
        """Writes the results: of predictions the class with the highest score. form: the format's name.

        questions: the JSON file of questions, each of which must have an answer.
        Raises SubmissionError with every fault, and then writes nothing.
        """
        labels = Labels.of(predictions) if isinstance(predictions, Predictions) else predictions
        odd = [name for name in labels.ids.tolist() if self.whole and not _NUMBER.fullmatch(name)]
        faults = (
            [f"{len(odd):,} ids are no {self.key}s (whole numbers): {named(odd, len(odd))}"] if odd else []
        )
        blank = labels.ids[np.char.strip(labels.labels) == ""]
        if len(blank):
            faults.append(f"{len(blank):,} questions have an empty answer: {named(blank, len(blank))}")
        if questions is not None:
            faults += differences(labels.ids, self.read_ids(questions), "questions", "the predictions")
        refuse(path, faults)
        with atomic(path) as file:
            file.write(b"[")
            for start in range(0, len(labels.ids), _LINES):
                some = slice(start, start + _LINES)
                rows = zip(labels.ids[some].tolist(), labels.labels[some].tolist(), strict=True)
                lines = [
                    f'{{"{self.key}": {name if self.whole else json.dumps(name)}, "answer": {json.dumps(answer)}}}'
                    for name, answer in rows
                ]
                file.write(((",\n" if start else "") + ",\n".join(lines)).encode())
            file.write(b"]\n")
        made = predictions.provenance if isinstance(predictions, Predictions) else {}
        keep(path, {"format": form, **made})
        return Path(path)

    def write_file(self, predictions: Path, path: Path, questions: Path | None, form: str) -> list[Path]:
        """`write` of a file of predictions, or of a CSV of two columns."""
        csv = predictions.suffix.lower() == ".csv"
        given = Labels.load(predictions) if csv else Predictions.load(predictions)
        return [self.write(given, path, questions, form)]

    def check(self, results: str | Path, questions: str | Path | None) -> list[str]:
        """Every fault of a results file: entries that are none, types, empty answers, questions missing or repeated.

        questions: the JSON file of questions. Raises SubmissionError only for one that cannot be used.
        """
        wanted = None if questions is None else self.read_ids(questions)
        try:
            entries = self._read_results(results)
        except SubmissionError as error:
            return [str(error)]
        faults = self._entry_faults(entries)
        if wanted is not None:
            ids = [str(entry[self.key]) for entry in entries if self._is_named(entry)]
            faults += differences(np.array(ids, np.str_), wanted, "questions", "the results")
        return faults

    def read_ids(self, path: str | Path) -> np.ndarray:
        """(n,) the names of a questions file as text, unique. Raises SubmissionError for what is none."""
        return np.array([str(entry[self.key]) for entry in self.entries(path, "questions", ())], np.str_)

    def labels(self, results: Predictions | Labels | str | Path) -> Labels:
        """Answers by question: of a JSON file, predictions in an npz, or a CSV of two columns."""
        if isinstance(results, Labels):
            return results
        if isinstance(results, Predictions):
            return Labels.of(results)
        if Path(results).suffix.lower() == ".json":
            entries = self._read_results(results)
            if faults := self._entry_faults(entries):
                raise SubmissionError(f"{results}: " + "; ".join(faults) + ".")
            ids = np.array([str(entry[self.key]) for entry in entries], np.str_)
            return Labels(ids, np.array([entry["answer"] for entry in entries], np.str_))
        if Path(results).suffix.lower() == ".csv":
            return Labels.load(results)
        with about(results):
            return Labels.of(Predictions.load(results))

    def scored(
        self, results: Predictions | Labels | str | Path, annotations: str | Path, types: Sequence[str]
    ) -> dict[str, Any]:
        """questions: how many; overall, normalised: their mean VQA accuracy; `types`: by those, keys of annotations."""
        labels = self.labels(results)
        entries = self.entries(annotations, "annotations", ("answers", *types))
        with about(annotations):
            answers = given_by_annotators(entries, self.key)
        ids = np.array([str(entry[self.key]) for entry in entries], np.str_)
        ours = labels.labels[matched(labels.ids, ids, "questions", "the results")].tolist()
        accuracy = vqa_accuracy(ours, answers)
        always = float(vqa_accuracy(ours, answers, "normalised").mean())
        by_type = {kind: _means(accuracy, [str(entry[kind]) for entry in entries]) for kind in types}
        return {"questions": len(ids), "overall": float(accuracy.mean()), "normalised": always, **by_type}

    def entries(self, path: str | Path, name: str, keys: Sequence[str]) -> list[dict[str, Any]]:
        """The questions or annotations (`name`) of a file, each with its name and all of `keys`, none of them twice."""
        content, keys = read_json(path, hook=self._text_alone), (self.key, *keys)
        with about(path):
            found = content if self.listed else content.get(name) if isinstance(content, dict) else None
            if not isinstance(found, list) or not found:
                where = f"of {name}" if self.listed else f"under the key {name!r}"
                raise SubmissionError(f"expected a list {where}, found none.")
            bad = [
                k
                for k, entry in enumerate(found)
                if not isinstance(entry, dict) or not entry.keys() >= set(keys)
            ]
            if bad:
                raise SubmissionError(
                    f"{len(bad):,} of {len(found):,} {name} lack one of {', '.join(keys)}: "
                    f"number {named(bad, len(bad))}, counted from 0."
                )
            counts = Counter(str(entry[self.key]) for entry in found)
            if again := [name for name, count in counts.items() if count > 1]:
                raise SubmissionError(
                    f"{len(again):,} {self.key}s occur more than once: {named(again, len(again))}."
                )
        return found

    def begins(self, path: Path) -> bool:
        """Whether a JSON file begins as a list of objects with its key."""
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                first = re.match(r"\ufeff?\s*\[\s*\{[^}]*", file.read(_BEGINNING))
        except OSError:
            return False
        return first is not None and f'"{self.key}":' in first[0].replace(" ", "")

    def _text_alone(self, entry: dict[str, Any]) -> Any:
        """What an annotator answered, {"answer": text, ...}, as that text, once for all who gave it."""
        given = entry.get("answer")
        if given is None or self.key in entry:
            return entry
        if type(given) is str:  # of millions: as quick as can be
            return sys.intern(given)
        return sys.intern(str(given)) if isinstance(given, int | float) else entry

    def _is_named(self, entry: Any) -> bool:
        return isinstance(entry, dict) and type(entry.get(self.key)) is self._type

    def _read_results(self, path: str | Path) -> list[Any]:
        content = read_json(path, "utf-8")  # the benchmark's code takes no mark of the byte order
        if not isinstance(content, list):
            raise SubmissionError(
                f'{path}: expected a list of {{"{self.key}": ..., "answer": ...}}, found {type(content).__name__}.'
            )
        if not content:
            raise SubmissionError(f"{path}: expected answers, found none.")
        return content

    def _entry_faults(self, entries: Sequence[Any]) -> list[str]:
        key = self.key
        tests = {
            f"are no objects with just {key} and answer": lambda entry: (
                not isinstance(entry, dict) or entry.keys() != {key, "answer"}
            ),
            f"have {'an' if key[0] in 'aeiou' else 'a'} {key} that is no {self._kind}": lambda entry: (
                isinstance(entry, dict) and key in entry and not self._is_named(entry)
            ),
            "have an answer that is no text": lambda entry: (
                isinstance(entry, dict) and "answer" in entry and not isinstance(entry["answer"], str)
            ),
            "have an empty answer": lambda entry: (
                isinstance(entry, dict)
                and isinstance(entry.get("answer"), str)
                and not entry["answer"].strip()
            ),
        }
        found = {what: [entry for entry in entries if test(entry)] for what, test in tests.items()}
        faults = [
            f"{len(bad):,} entries {what}: {named(bad, len(bad), 3)}" for what, bad in found.items() if bad
        ]
        names = Counter(entry[key] for entry in entries if self._is_named(entry))
        again = [name for name, count in names.items() if count > 1]
        if again:
            faults.append(f"{len(again):,} {key}s occur more than once: {named(again, len(again))}")
        return faults


def is_list(path: Path) -> bool:
    """Whether a JSON file is a list itself, as VizWiz's are, and no object, as VQA v2's."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_BEGINNING).lstrip("\ufeff \t\r\n").startswith("[")
    except OSError:
        return False


def _means(accuracy: np.ndarray, kinds: Sequence[str]) -> dict[str, float]:
    means = pd.Series(accuracy).groupby(list(kinds)).mean()
    return {str(kind): float(mean) for kind, mean in means.items()}


def read_json(path: str | Path, encoding: str = "utf-8-sig", hook: _Hook | None = None) -> Any:
    """A JSON file. hook: what takes the place of each object. Raises SubmissionError for what is none."""
    with about(path):
        try:
            return parsed_json(Path(path).read_text(encoding=encoding), hook)
        except OSError as error:
            raise SubmissionError(f"the file cannot be read ({error.strerror or error}).") from error
        except (ValueError, RecursionError) as error:
            raise SubmissionError(f"expected JSON ({error}).") from error


def given_by_annotators(entries: Sequence[dict[str, Any]], key: str) -> list[list[str]]:
    """(n, a) what was answered to each question. Raises SubmissionError unless all have lists of as many answers."""
    answers = [entry["answers"] for entry in entries]
    for entry, given in zip(entries, answers, strict=True):
        if not isinstance(given, list) or not all(isinstance(text, str) for text in given):
            found = f"question {entry[key]}"
            raise SubmissionError(f"{found}: expected answers as a list of {{'answer': ...}}.")
    if len(lengths := Counter(map(len, answers))) > 1 or min(lengths) < 2:
        raise SubmissionError(
            f"expected as many answers (10) to each question, found {', '.join(map(str, sorted(lengths)))}."
        )
    return answers
