"""VQA v2's results, a JSON list of {"question_id": int, "answer": str}: written, checked and scored.

The form and the scores by type are those of https://visualqa.org/evaluation.html.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from submit.formats.answer_files import AnswerFile
from submit.formats.format import Format
from submit.labels import Labels
from submit.predictions import Predictions

ANSWERS = AnswerFile(key="question_id", whole=True, listed=False)


@dataclass(frozen=True)
class VQAScores:
    """Mean VQA accuracy, 0 to 1: of all questions, and for each answer_type and question_type.

    As VQA v2's code has it; normalised: of all questions as its description has it, answers normalised also
    where all annotators agree to the letter (`submit.metrics.vqa_accuracy`). VizWiz has no question_type.
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
            **({"question_type": self.question_type} if self.question_type else {}),
        }


def write(predictions: Predictions | Labels, path: str | Path, questions: str | Path | None = None) -> Path:
    """Writes the results: of predictions the class with the highest score; ids are question_ids.

    questions: the JSON file of questions, each of which must have an answer.
    Raises SubmissionError with every fault, and then writes nothing.
    """
    return ANSWERS.write(predictions, path, questions, FORMAT.name)


def check(results: str | Path, questions: str | Path | None = None) -> list[str]:
    """Every fault of a results file: entries that are none, types, empty answers, questions missing or repeated.

    questions: the JSON file of questions. Raises SubmissionError only for one that cannot be used.
    """
    return ANSWERS.check(results, questions)


def score(results: Predictions | Labels | str | Path, annotations: str | Path) -> VQAScores:
    """VQA accuracy of results (a JSON file, a predictions npz, a CSV of two columns, or predictions).

    annotations: the JSON file {"annotations": [{question_id, answer_type, question_type, answers: [{answer}]}]}.
    Raises SubmissionError unless every annotated question has one answer, and no other has.
    """
    return VQAScores(**ANSWERS.scored(results, annotations, ("answer_type", "question_type")))


def read_question_ids(path: str | Path) -> np.ndarray:
    """(n,) the question_ids of a questions file as text, unique. Raises SubmissionError for what is none."""
    return ANSWERS.read_ids(path)


def _write_file(predictions: Path, path: Path, questions: Path | None) -> list[Path]:
    return ANSWERS.write_file(predictions, path, questions, FORMAT.name)


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
