"""VQA v2 (Goyal et al. 2017): questions on images of COCO, each answered by ten people."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxlab.core.config import Location
from jaxlab.core.types import Samples, UserError
from jaxlab.data.readers.image_files import existing_folder, file_samples
from jaxlab.data.readers.vqa_json import (
    QuestionEntry,
    given_answers,
    image_files,
    read_annotations,
    read_questions,
)
from jaxlab.data.source import Opened, Results, Source, examples

_TYPES = ("question_type", "answer_type")


@dataclass(frozen=True, kw_only=True)
class VQAv2(Source):
    """A sample is a question; the classes are the `answers` most frequent answers to the training questions.

    answers: how many classes. root: the folder. questions, annotations: its JSON files, of each split.
    images: its folder of images, of each split.
    train, validation, test: what stands for {split} in those names. Without the questions of one, there is no such
        split; with validation, the column `split` reads `train` or `val`, for ColumnSplit(column="split").

    The label is the annotators' commonest answer, normalised as the benchmark does; -1, which is wrong in validation
    and left out of training where no other objective learns, where that is none of the classes.
    Columns: `question`, `question_type`, `answer_type`, `image` (its number: with GroupedSplit(column="image") no image
    is on both sides) and `answers` (n, 10), what each annotator said. Ids are question_ids, and questions on one image
    share it.
    """

    root: Location | None = None
    questions: str = "v2_OpenEnded_mscoco_{split}_questions.json"
    annotations: str = "v2_mscoco_{split}_annotations.json"
    images: str = "{split}"
    train: str = "train2014"
    validation: str | None = "val2014"
    test: str | None = "test2015"
    answers: int = 1000

    def check(self) -> None:
        if self.answers < 2:
            raise UserError(f"VQAv2.answers: expected 2 or more, found {self.answers}")
        fixed = [name for name in ("questions", "annotations") if "{split}" not in getattr(self, name)]
        if fixed and (self.validation or self.test):
            raise UserError(
                f"VQAv2: {examples(fixed)} would be one file for every split; expected {{split}} in its name, or "
                "validation=None and test=None"
            )

    def results(self, split: str) -> Results | None:
        whole = split == "test" and self.test and self.root
        return Results("vqa", self._path(Path(self.root), self.questions, self.test) if whole else None)  # type: ignore[arg-type]

    def open(self) -> Opened:
        root, problems = existing_folder(self.root), list[str]()
        names = {"train": self.train}
        if self.validation and self._is_there(root, self.validation, ("questions", "annotations"), problems):
            names["val"] = self.validation
        parts = {split: self._answered(root, name, problems) for split, name in names.items()}
        asked = [{str(entry["question_id"]) for entry in part.questions} for part in parts.values()]
        if len(asked) == 2 and (both := sorted(asked[0] & asked[1])):
            problems.append(f"{root}: {len(both)} question_ids are in two splits ({examples(both)})")
        test = self._test(root, problems)
        if problems:
            raise UserError("; ".join(problems))
        classes = commonest(parts["train"].chosen, self.answers)
        if len(classes) < 2:
            raise UserError(
                f"{root}: expected two different answers or more, found {examples(classes) or 'none'}"
            )
        return Opened(train=_joined(parts, classes), test=test, kind="classification", targets=classes)

    def open_test(self) -> tuple[Samples | None, Path | None]:
        """As `open`, but only the test questions and their images need be there."""
        problems: list[str] = []
        test = self._test(existing_folder(self.root), problems)
        if problems:
            raise UserError("; ".join(problems))
        return test, None

    def _path(self, root: Path, name: str, split: str) -> Path:
        return root / name.replace("{split}", split)

    def _is_there(self, root: Path, split: str, files: Sequence[str], problems: list[str]) -> bool:
        """Whether a split has its questions. Another of `files`, or its images, without them is half a download."""
        if self._path(root, self.questions, split).is_file():
            return True
        fields = [*files, *(["images"] if "{split}" in self.images else [])]
        paths = [self._path(root, getattr(self, name), split) for name in fields]
        if found := [path for path in paths if path.exists()]:
            problems.append(
                f"{self._path(root, self.questions, split)}: no such file, though {examples(found)} is there: half a "
                "download? Fetch it, or leave the split out with data.validation or data.test = None"
            )
        return False

    def _answered(self, root: Path, split: str, problems: list[str]) -> "_Answered":
        path, annotated = (self._path(root, name, split) for name in (self.questions, self.annotations))
        questions = read_questions(path, problems)
        annotations = read_annotations(annotated, questions, problems)
        answers = given_answers(annotated, annotations, problems)
        files = image_files(self._path(root, self.images, split), questions, path, problems)
        types = {name: np.array([entry[name] for entry in annotations]) for name in _TYPES}
        return _Answered(questions, types, answers, _chosen(annotations), files)

    def _test(self, root: Path, problems: list[str]) -> Samples | None:
        if not self.test or not self._is_there(root, self.test, ("questions",), problems):
            return None
        path = self._path(root, self.questions, self.test)
        questions = read_questions(path, problems)
        files = image_files(self._path(root, self.images, self.test), questions, path, problems)
        ids, columns = _asked(questions)
        return file_samples(ids, files, columns=columns, image_of=_numbers(files))


@dataclass(frozen=True)
class _Answered:
    """One split: questions, the columns _TYPES, (n, 10) answers, the commonest of each ten normalised, and files.

    The annotations themselves, gigabytes as Python has them, are not kept.
    """

    questions: list[QuestionEntry]
    types: dict[str, np.ndarray]
    answers: np.ndarray
    chosen: list[str]
    files: list[Path]


def _chosen(annotations: Sequence[QuestionEntry]) -> list[str]:
    from submit.metrics.vqa import normalise  # brings pandas along, for which a config does not wait

    said = [str(entry["multiple_choice_answer"]) for entry in annotations]
    form = {answer: normalise(answer) for answer in set(said)}
    return [form[answer] for answer in said]


def commonest(answers: Sequence[str], limit: int) -> tuple[str, ...]:
    """The most frequent first; of equally frequent ones in the order of their letters."""
    counts = Counter(answer for answer in answers if answer)
    return tuple(sorted(counts, key=lambda answer: (-counts[answer], answer))[:limit])


def _joined(parts: dict[str, _Answered], classes: tuple[str, ...]) -> Samples:
    """The labelled samples of all splits."""
    number = {answer: label for label, answer in enumerate(classes)}
    questions = [entry for part in parts.values() for entry in part.questions]
    files = [file for part in parts.values() for file in part.files]
    ids, columns = _asked(questions)
    for name in _TYPES:
        columns[name] = np.concatenate([part.types[name] for part in parts.values()])
    columns["answers"] = np.concatenate([part.answers for part in parts.values()])
    if len(parts) > 1:
        columns["split"] = np.repeat(list(parts), [len(part.questions) for part in parts.values()])
    label = np.array([number.get(answer, -1) for part in parts.values() for answer in part.chosen], np.int32)
    return file_samples(ids, files, label=label, columns=columns, image_of=_numbers(files))


def _asked(questions: Sequence[QuestionEntry]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """ids and the columns `question` (objects, since lengths differ much) and `image`."""
    text = np.array([entry["question"] for entry in questions], dtype=object)
    image = np.array([str(entry["image_id"]) for entry in questions])
    return np.array([str(entry["question_id"]) for entry in questions]), {"question": text, "image": image}


def _numbers(files: Sequence[Path]) -> np.ndarray:
    """(n,) the same number for the same file."""
    number = {file: position for position, file in enumerate(dict.fromkeys(files))}
    return np.array([number[file] for file in files], np.int64)
