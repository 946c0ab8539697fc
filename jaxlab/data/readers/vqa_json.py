"""The JSON files of VQA v2 and the images that they number, checked entry by entry."""

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxlab.core.files import reason
from jaxlab.core.garbage import without_collecting
from jaxlab.core.types import UserError
from jaxlab.data.readers.image_files import list_folder
from jaxlab.data.source import duplicates, examples
from submit.late import Late

if TYPE_CHECKING:
    from submit.files import json_text
else:
    json_text = Late("submit.files.json_text")

ANNOTATORS = 10
_LAST_DIGITS = re.compile(r"\d+$")
QuestionEntry = dict[str, Any]
Types = frozenset[type]
TEXT: Types = frozenset((str,))
NAME: Types = frozenset((str, int))
ANSWER: Types = frozenset((str, int, float))
ANY: Types = frozenset()  # it is checked elsewhere
_WORDS: dict[Types, str] = {TEXT: "a text", NAME: "a whole number or a text", ANSWER: "a text or a number"}


def read_questions(path: Path, problems: list[str]) -> list[QuestionEntry]:
    """`{"questions": [{question_id, image_id, question}]}`."""
    keys = {"question_id": NAME, "image_id": NAME, "question": TEXT}
    return _entries(path, "questions", keys, problems)


def read_annotations(
    path: Path, questions: Sequence[QuestionEntry], problems: list[str]
) -> list[QuestionEntry]:
    """`{"annotations": [{question_id, answers: [{answer}], ...}]}`, in the order of `questions`.

    Annotations without a question, and questions without one, are added to `problems`.
    """
    keys = {
        "question_id": NAME,
        "question_type": TEXT,
        "answer_type": TEXT,
        "multiple_choice_answer": ANSWER,
        "answers": ANY,
    }
    entries = _entries(path, "annotations", keys, problems, _text_alone)
    found = {entry["question_id"]: entry for entry in entries}
    asked = [entry["question_id"] for entry in questions]
    if lost := sorted(found.keys() - set(asked), key=str):
        problems.append(
            f"{path}: {len(lost)} annotations belong to no question (question_id {examples(lost)})"
        )
    if bare := [number for number in asked if number not in found]:
        problems.append(f"{path}: {len(bare)} questions have no annotation (question_id {examples(bare)})")
    return [found[number] for number in asked if number in found]


def given_answers(
    path: Path, annotations: Sequence[QuestionEntry], problems: list[str], key: str = "question_id"
) -> np.ndarray:
    """(n, 10) object: what the ten annotators of each question, named by `key`, answered."""
    bad = [entry[key] for entry in annotations if not _are_answers(entry["answers"])]
    if bad:
        problems.append(
            f"{path}: {len(bad)} annotations lack a list of {ANNOTATORS} answers, each with a key 'answer' "
            f"({key} {examples(bad)})"
        )
        return np.empty((len(annotations), ANNOTATORS), dtype=object)
    found = np.empty(len(annotations) * ANNOTATORS, dtype=object)
    found[:] = list(chain.from_iterable(entry["answers"] for entry in annotations))
    return found.reshape(-1, ANNOTATORS)


def _are_answers(found: Any) -> bool:
    return isinstance(found, list) and len(found) == ANNOTATORS and set(map(type, found)) == {str}


def _text_alone(entry: dict[str, Any]) -> Any:
    """What an annotator answered, {"answer": text, ...}, as that text, once for all who gave it.

    An entry of a file stays, whatever stands beside its `answers`.
    """
    text = entry.get("answer")
    if "answers" in entry or "question" in entry:
        return entry
    if type(text) is str:  # of millions: as quick as can be
        return sys.intern(text)
    return sys.intern(str(text)) if type(text) in ANSWER else entry


def image_files(
    folder: Path, questions: Sequence[QuestionEntry], path: Path, problems: list[str]
) -> list[Path]:
    """The file of each question of `path`: `COCO_train2014_000000000009.jpg` or `9.png` is image 9."""
    if not folder.is_dir():
        raise UserError(f"{folder}: expected a folder of images, found nothing. Set data.images")
    numbered: dict[str, list[Path]] = {}
    listing = list_folder(folder)
    listed = listing.by_name
    for stem, files in listing.by_stem.items():
        if digits := _LAST_DIGITS.search(stem):
            numbered.setdefault(str(int(digits[0])), []).extend(files)
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


def read_json(path: Path, hook: Callable[[dict[str, Any]], Any] | None = None) -> Any:
    """The content of a JSON file. Raises UserError that names the file, and the place of a fault.

    hook: what takes the place of each object, as `json.loads` has it.
    """
    try:
        with path.open("rb") as file:
            encoding = json.detect_encoding(file.read(4))
        with without_collecting():
            return json_text.parsed_json(path.read_text(encoding=encoding), hook)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({reason(error)})") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error})") from error


def _entries(
    path: Path,
    name: str,
    keys: Mapping[str, Types],
    problems: list[str],
    hook: Callable[[dict[str, Any]], Any] | None = None,
) -> list[QuestionEntry]:
    """The list under `name`, each entry with all of `keys`, of these types; repeated question_ids are `problems`."""
    content = read_json(path, hook)
    found = content.get(name) if isinstance(content, dict) else None
    if not isinstance(found, list) or not found:
        keys_there = f"the keys {examples(content)}" if isinstance(content, dict) else type(content).__name__
        raise UserError(f"{path}: expected a list under the key {name!r}, found {keys_there}")
    check_entries(path, name, found, keys, problems)
    return found


def listed_entries(path: Path, keys: Mapping[str, Types], problems: list[str]) -> list[QuestionEntry]:
    """A file that is a list itself, as VizWiz's are, each entry with all of `keys`, of which the first names it."""
    found = read_json(path, _text_alone)
    if not isinstance(found, list) or not found:
        raise UserError(f"{path}: expected a list of questions, found {type(found).__name__}")
    check_entries(path, "questions", found, keys, problems)
    return found


def check_entries(
    path: Path, name: str, found: list[Any], keys: Mapping[str, Types], problems: list[str]
) -> None:
    """Raises UserError where entries lack one of `keys`, or it is of another type; repeated names, the first key's, are
    added to `problems`.
    """
    wanted = set(keys)
    bad = [k for k, entry in enumerate(found) if not isinstance(entry, dict) or not entry.keys() >= wanted]
    for key in keys if bad else ():
        if without := [k for k in bad if not isinstance(found[k], dict) or key not in found[k]]:
            raise UserError(
                f"{path}: {len(without)} of the {len(found)} {name} have no {key!r} (number {examples(without)}, "
                "counted from 0)"
            )
    _check_types(path, name, found, keys)
    first = next(iter(keys))
    ids = [str(entry[first]) for entry in found]
    if len(set(ids)) < len(ids):
        twice = duplicates(np.array(ids)).tolist()
        problems.append(f"{path}: {len(twice)} {first}s occur more than once ({examples(twice)})")


def _check_types(path: Path, name: str, found: list[QuestionEntry], keys: Mapping[str, Types]) -> None:
    for key, types in keys.items():
        if not types or set(map(type, map(itemgetter(key), found))) <= types:
            continue
        wrong = [f"{k}: {entry[key]!r:.40}" for k, entry in enumerate(found) if type(entry[key]) not in types]
        raise UserError(
            f"{path}: expected {_WORDS[types]} as {key!r}, found something else in {len(wrong)} of the {len(found)} "
            f"{name} (number {examples(wrong)}, counted from 0)"
        )
