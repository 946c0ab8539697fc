"""easy-VQA (Zhou 2020): questions on pictures of one coloured shape each, from the package easy-vqa."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxlab.core.files import reason
from jaxlab.core.types import Samples, UserError
from jaxlab.data.readers.image_files import file_samples
from jaxlab.data.readers.packages import packaged
from jaxlab.data.readers.vqa_json import read_json
from jaxlab.data.source import Opened, Source, examples

_TYPES = {
    "yes": "yes/no",
    "no": "yes/no",
    "circle": "shape",
    "rectangle": "shape",
    "triangle": "shape",
}  # else a color


@dataclass(frozen=True, kw_only=True)
class EasyVQA(Source):
    """38,575 questions on 4,000 images of 64 x 64 pixels, and as test 9,673 on 1,000 others; 13 answers.

    The label is the answer, of the test questions too. Columns: `question`, `answer_type` ("yes/no", "shape" or
    "color"), and `image`, its number: with GroupedSplit(column="image") no image is on both sides. Questions on one
    image share it.
    """

    def open(self) -> Opened:
        folder = packaged("easy_vqa", "data", "easyvqa")
        try:
            answers = tuple(sorted((folder / "answers.txt").read_text("utf-8").split()))
        except OSError as error:
            raise UserError(f"{folder / 'answers.txt'}: cannot be read ({reason(error)})") from error
        train, test = (_samples(folder, split, answers) for split in ("train", "test"))
        return Opened(train=train, test=test, kind="classification", targets=answers)


def _samples(folder: Path, split: str, answers: tuple[str, ...]) -> Samples:
    """questions.json lists [question, answer, image number]."""
    path = folder / split / "questions.json"
    rows = read_json(path)
    try:
        question, answer, image = zip(*rows, strict=True)
        label = np.array([answers.index(name) for name in answer], np.int32)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{path}: expected a list of [question, answer, image] with answers among {examples(answers, 20)} ({error})"
        ) from error
    files = {number: folder / split / "images" / f"{number}.png" for number in set(image)}
    if absent := sorted(number for number, file in files.items() if not file.is_file()):
        raise UserError(
            f"{path}: no image for {len(absent)} of its {len(files)} image numbers ({examples(absent)})"
        )
    return file_samples(
        np.array([f"{split}-{position:05d}" for position in range(len(rows))]),
        [files[number] for number in image],
        label=label,
        columns={
            "question": np.array(question),
            "answer_type": np.array([_TYPES.get(name, "color") for name in answer]),
            "image": np.array(image).astype(str),
        },
        image_of=np.array(image, np.int64),
    )
