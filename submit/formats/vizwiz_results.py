"""VizWiz's results, a JSON list of {"image": its file's name, "answer": str}: written, checked and scored.

The form is that of https://vizwiz.org/tasks-and-datasets/vqa. Scores are by the rules of VQA v2
(`submit.metrics.vqa_accuracy`). VizWiz's may be lower: copies of its own code that are about normalise the result alone
and compare it with what people wrote as that stands, so that "two", which becomes "2", is wrong where all wrote "two".
"""

from pathlib import Path

from submit.formats.answer_files import AnswerFile
from submit.formats.format import Format
from submit.formats.vqa_results import VQAScores
from submit.labels import Labels
from submit.predictions import Predictions

ANSWERS = AnswerFile(key="image", whole=False, listed=True)


def write(predictions: Predictions | Labels, path: str | Path, questions: str | Path | None = None) -> Path:
    """Writes the results: of predictions the class with the highest score; ids are names of images.

    questions: VizWiz's own JSON of the split (test.json), each of whose images must have an answer.
    Raises SubmissionError with every fault, and then writes nothing.
    """
    return ANSWERS.write(predictions, path, questions, FORMAT.name)


def check(results: str | Path, questions: str | Path | None = None) -> list[str]:
    """Every fault of a results file: entries that are none, types, empty answers, images missing or repeated.

    questions: VizWiz's own JSON of the split. Raises SubmissionError only for one that cannot be used.
    """
    return ANSWERS.check(results, questions)


def score(results: Predictions | Labels | str | Path, annotations: str | Path) -> VQAScores:
    """VQA accuracy by VQA v2's rules.

    results: a JSON file, a predictions npz, a CSV of two columns, or predictions.
    annotations: VizWiz's own JSON, [{image, answer_type, answers: [{answer}]}].
    Raises SubmissionError unless every annotated image has one answer, and no other has.
    """
    return VQAScores(**ANSWERS.scored(results, annotations, ("answer_type",)), question_type={})


def _write_file(predictions: Path, path: Path, questions: Path | None) -> list[Path]:
    return ANSWERS.write_file(predictions, path, questions, FORMAT.name)


FORMAT = Format(
    name="vizwiz",
    writes=(".json",),
    reads=(".json",),
    recognise=lambda file: file.suffix == ".json" and ANSWERS.begins(file.path),
    write=_write_file,
    check=check,
    against="VizWiz's JSON of the split",
    title="VizWiz's JSON",
    usage=("a JSON. --against VizWiz's test.json",),
)
