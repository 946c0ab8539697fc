"""VizWiz (Gurari et al. 2018): what blind people asked about photographs of theirs, each answered by ten people."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxlab.core.config import Location
from jaxlab.core.types import Samples, UserError
from jaxlab.data.readers.image_files import existing_folder, file_samples, list_folder
from jaxlab.data.readers.vqa_json import ANY, NAME, TEXT, QuestionEntry, Types, given_answers, listed_entries
from jaxlab.data.source import Opened, Results, Source, examples
from jaxlab.data.sources.vqa import commonest
from submit.late import Late

if TYPE_CHECKING:
    from submit.metrics import vqa
else:
    vqa = Late("submit.metrics.vqa")

UNANSWERABLE = "unanswerable"
_ASKED = {"image": TEXT, "question": TEXT}
_ANSWERED = {**_ASKED, "answers": ANY, "answer_type": TEXT, "answerable": NAME}


@dataclass(frozen=True, kw_only=True)
class VizWiz(Source):
    """A sample is a question and its photograph; the classes are the `answers` most frequent answers to training ones.

    answers: how many classes. root: the folder. annotations: its JSON files, of each split. images: its folders of
    images.
    train, validation, test: what stands for {split} in those names. Without the JSON of one, there is no such split;
        with validation, the column `split` reads `train` or `val`, for ColumnSplit(column="split").
    unanswerable: whether that a question cannot be answered is one of the classes, as it is the commonest answer there.
        Without it such questions are none of the classes.

    The label is what most annotators answered, the first of equally many, normalised as VQA v2's code does; -1, which
    is wrong in validation and left out of training where no other objective learns, where that is none of the classes.
    Columns: `question`, `answer_type`, `answerable` ("0" or "1", for an Objective(of="answerable") beside it) and
    `answers` (n, 10), what each annotator said. Ids are the images' file names, as results have them.
    """

    root: Location | None = None
    annotations: str = "Annotations/{split}.json"
    images: str = "{split}"
    train: str = "train"
    validation: str | None = "val"
    test: str | None = "test"
    answers: int = 1000
    unanswerable: bool = True

    def check(self) -> None:
        if self.answers < 2:
            raise UserError(f"VizWiz.answers: expected 2 or more, found {self.answers}")
        if "{split}" not in self.annotations and (self.validation or self.test):
            raise UserError(
                "VizWiz: annotations would be one file for every split; expected {split} in its name, or "
                "validation=None and test=None"
            )

    def results(self, split: str) -> Results | None:
        whole = split == "test" and self.test and self.root
        return Results("vizwiz", self._path(Path(self.root), self.test) if whole else None)  # type: ignore[arg-type]

    def open(self) -> Opened:
        root, problems = existing_folder(self.root), list[str]()
        names = {"train": self.train}
        if self.validation and self._is_there(root, self.validation, problems):
            names["val"] = self.validation
        parts = {split: self._part(root, name, _ANSWERED, problems) for split, name in names.items()}
        entries = [entry for part in parts.values() for entry, _ in part]
        files = [file for part in parts.values() for _, file in part]
        answers = np.concatenate(
            [
                given_answers(self._path(root, names[split]), [entry for entry, _ in part], problems, "image")
                for split, part in parts.items()
            ]
        )
        test = self._test(root, problems)
        ids = [entry["image"] for entry in entries]
        if len(parts) == 2 and (both := [name for name, count in Counter(ids).items() if count > 1]):
            problems.append(f"{root}: {len(both)} images are in two splits ({examples(both)})")
        if problems:
            raise UserError("; ".join(problems))
        chosen = _chosen(answers)
        learned = [answer for answer in chosen[: len(parts["train"])] if self._is_class(answer)]
        classes = commonest(learned, self.answers)
        if len(classes) < 2:
            raise UserError(
                f"{root}: expected two different answers or more, found {examples(classes) or 'none'}"
            )
        number = {answer: label for label, answer in enumerate(classes)}
        columns = {
            **_questions(entries),
            "answer_type": np.array([entry["answer_type"] for entry in entries]),
            "answerable": np.array([str(entry["answerable"]) for entry in entries]),
            "answers": answers,
        }
        if len(parts) > 1:
            columns["split"] = np.repeat(list(parts), [len(part) for part in parts.values()])
        label = np.array([number.get(answer, -1) for answer in chosen], np.int32)
        train = file_samples(np.array(ids), files, label=label, columns=columns)
        return Opened(train=train, test=test, kind="classification", targets=classes)

    def open_test(self) -> tuple[Samples | None, Path | None]:
        """As `open`, but only the test questions and their images need be there."""
        problems: list[str] = []
        test = self._test(existing_folder(self.root), problems)
        if problems:
            raise UserError("; ".join(problems))
        return test, None

    def _is_class(self, answer: str) -> bool:
        return self.unanswerable or answer != UNANSWERABLE

    def _path(self, root: Path, split: str) -> Path:
        return root / self.annotations.replace("{split}", split)

    def _is_there(self, root: Path, split: str, problems: list[str]) -> bool:
        """Whether a split has its JSON. A folder of its images without is half a download."""
        path, folder = self._path(root, split), root / self.images.replace("{split}", split)
        if path.is_file():
            return True
        if "{split}" in self.images and folder.exists():
            problems.append(
                f"{path}: no such file, though {folder} is there: half a download? Fetch it, or leave the split out "
                "with data.validation or data.test = None"
            )
        return False

    def _test(self, root: Path, problems: list[str]) -> Samples | None:
        if not self.test or not self._is_there(root, self.test, problems):
            return None
        part = self._part(root, self.test, _ASKED, problems)
        ids = np.array([entry["image"] for entry, _ in part])
        return file_samples(ids, [file for _, file in part], columns=_questions([entry for entry, _ in part]))

    def _part(
        self, root: Path, split: str, keys: Mapping[str, Types], problems: list[str]
    ) -> list[tuple[QuestionEntry, Path]]:
        """The entries of a split, each with its image's file."""
        path, folder = self._path(root, split), root / self.images.replace("{split}", split)
        entries = listed_entries(path, keys, problems)
        if not folder.is_dir():
            raise UserError(f"{folder}: expected a folder of images, found nothing. Set data.images")
        files = list_folder(folder).by_name
        names = [entry["image"] for entry in entries]
        if absent := [name for name in names if name not in files]:
            problems.append(
                f"{folder}: no image for {len(absent)} of the {len(names)} images of {path} ({examples(absent)}); the "
                f"folder holds {len(files)} ({examples(files, 2)})"
            )
        return [(entry, files.get(name, folder)) for entry, name in zip(entries, names, strict=True)]


def _questions(entries: Sequence[QuestionEntry]) -> dict[str, np.ndarray]:
    """The column `question`: objects, since lengths differ much."""
    return {"question": np.array([entry["question"] for entry in entries], dtype=object)}


def _chosen(answers: np.ndarray) -> list[str]:
    """Of each ten answers the commonest, normalised, the first of equally common ones; "" where none says anything."""
    form = {text: vqa.normalise(text) for text in set(answers.ravel().tolist())}
    rows = ([form[text] for text in row if form[text]] for row in answers.tolist())
    return [Counter(row).most_common(1)[0][0] if row else "" for row in rows]
