"""The JSON files of VQA v2 and the images that they number, checked entry by entry."""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxlab.core.files import reason
from jaxlab.core.late import Late
from jaxlab.core.types import UserError
from jaxlab.data.readers.image_files import list_folder
from jaxlab.data.source import duplicates, examples

if TYPE_CHECKING:
    from submit.files import json_text
else:
    json_text = Late("submit.files.json_text")

ANNOTATORS = 10
QuestionEntry = dict[str, Any]


def read_questions(path: Path, problems: list[str]) -> list[QuestionEntry]:
    """`{"questions": [{question_id, image_id, question}]}`."""
    return _entries(path, "questions", ("question_id", "image_id", "question"), problems)


def read_annotations(
    path: Path, questions: Sequence[QuestionEntry], problems: list[str]
) -> list[QuestionEntry]:
    """`{"annotations": [{question_id, answers: [{answer}], ...}]}`, in the order of `questions`.

    Annotations without a question, and questions without one, are added to `problems`.
    """
    keys = ("question_id", "question_type", "answer_type", "multiple_choice_answer", "answers")
    found = {entry["question_id"]: entry for entry in _entries(path, "annotations", keys, problems)}
    asked = [entry["question_id"] for entry in questions]
    if lost := sorted(found.keys() - set(asked), key=str):
        problems.append(
            f"{path}: {len(lost)} annotations belong to no question (question_id {examples(lost)})"
        )
    if bare := [number for number in asked if number not in found]:
        problems.append(f"{path}: {len(bare)} questions have no annotation (question_id {examples(bare)})")
    return [found[number] for number in asked if number in found]


def given_answers(path: Path, annotations: Sequence[QuestionEntry], problems: list[str]) -> np.ndarray:
    """(n, 10) object: what the ten annotators of each question answered."""
    rows, bad = [], []
    for entry in annotations:
        try:
            row = [sys.intern(str(answer["answer"])) for answer in entry["answers"]]
        except (TypeError, KeyError):
            row = []
        rows.append(row)
        if len(row) != ANNOTATORS:
            bad.append(entry["question_id"])
    if bad:
        problems.append(
            f"{path}: {len(bad)} annotations lack a list of {ANNOTATORS} answers, each with a key 'answer' "
            f"(question_id {examples(bad)})"
        )
    return np.array(rows, dtype=object)


def image_files(
    folder: Path, questions: Sequence[QuestionEntry], path: Path, problems: list[str]
) -> list[Path]:
    """The file of each question of `path`: `COCO_train2014_000000000009.jpg` or `9.png` is image 9."""
    if not folder.is_dir():
        raise UserError(f"{folder}: expected a folder of images, found nothing. Set data.images")
    numbered: dict[str, list[Path]] = {}
    listed = list_folder(folder).by_name
    for file in listed.values():
        if digits := re.search(r"\d+$", file.stem):
            numbered.setdefault(str(int(digits[0])), []).append(file)
    wanted = [str(entry["image_id"]) for entry in questions]
    different = dict.fromkeys(wanted)
    if absent := [number for number in different if number not in numbered]:
        problems.append(
            f"{folder}: no image for {len(absent)} of the {len(different)} image_ids of {path} ({examples(absent)}); "
            f"the folder holds {len(listed)} images ({examples(listed, 2)})"
        )
    if several := [number for number in different if len(numbered.get(number, ())) > 1]:
        problems.append(f"{folder}: several images are numbered {examples(several)}")
    return [numbered[number][0] for number in wanted if number in numbered]


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises UserError that names the file, and the place of a fault."""
    try:
        content = path.read_bytes()
        return json_text.parsed_json(content.decode(json.detect_encoding(content)))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({reason(error)})") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error})") from error


def _entries(path: Path, name: str, keys: Sequence[str], problems: list[str]) -> list[QuestionEntry]:
    """The list under `name`, each entry with all of `keys`; repeated question_ids are added to `problems`."""
    content = read_json(path)
    found = content.get(name) if isinstance(content, dict) else None
    if not isinstance(found, list) or not found:
        keys_there = f"the keys {examples(content)}" if isinstance(content, dict) else type(content).__name__
        raise UserError(f"{path}: expected a list under the key {name!r}, found {keys_there}")
    for key in keys:
        if without := [k for k, entry in enumerate(found) if not isinstance(entry, dict) or key not in entry]:
            raise UserError(
                f"{path}: {len(without)} of the {len(found)} {name} have no {key!r} (number {examples(without)}, "
                "counted from 0)"
            )
    if twice := duplicates(np.array([str(entry["question_id"]) for entry in found])).tolist():
        problems.append(f"{path}: {len(twice)} question_ids occur more than once ({examples(twice)})")
    return found
