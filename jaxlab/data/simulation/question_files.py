"""Simulated questions in the files of VQA v2, of any size: written as they are made, so that memory is of numbers."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from jaxlab.core.types import UserError
from jaxlab.data.simulation.answers import variants, words
from jaxlab.data.simulation.kaggle_folder import new_folder
from jaxlab.data.simulation.question_scenes import Contents, draw, make_contents
from jaxlab.data.simulation.questions import KINDS, Questions, ask

TRUE_SIZE = {  # of VQA v2: images and questions of a split
    "train2014": (82_783, 443_757),
    "val2014": (40_504, 214_354),
}
_QUESTIONS_PER_IMAGE = 443_757 / 82_783
_SPLITS = ("train2014", "val2014", "test2015")
_CHUNK = 512  # pictures drawn at a time
_LINES = 2_000  # written at a time
_SPACING = 7  # numbers of images are so far apart, as COCO's have gaps


@dataclass(frozen=True, kw_only=True)
class SimulatedQuestions:
    """VQA v2 made up: `VQAv2(root=FOLDER)` reads what `write` leaves.

    images, validation_images, test_images: how many. questions: on the training images, as many an image on the others;
        default VQA v2's 5.36 an image.
    full: as many training and validation images and questions as VQA v2 has, whatever the others say.
    size: height and width, in pixels, a multiple of 4. seed: of everything.
    """

    images: int = 2000
    validation_images: int | None = None
    test_images: int = 500
    questions: int | None = None
    full: bool = False
    size: int = 32
    seed: int = 0

    def check(self) -> None:
        """Raises UserError for sizes that cannot be."""
        least = {"images": 1, "validation_images": 1, "test_images": 1, "questions": 1, "seed": 0}
        given = {name: getattr(self, name) for name in least}
        if low := {name: n for name, n in given.items() if n is not None and n < least[name]}:
            raise UserError(
                f"simulated questions: expected {min(least[name] for name in low)} or more, found {low}"
            )
        if self.size < 16 or self.size % 4:
            raise UserError(
                f"simulated questions: expected a size of 16 or more, a multiple of 4, found {self.size}"
            )
        if self.questions is not None and self.questions < self.images and not self.full:
            raise UserError(
                f"simulated questions: expected one or more an image, {self.images:,}, found {self.questions:,}"
            )

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """{split: (images, questions)}."""
        if self.full:
            train, validation = TRUE_SIZE["train2014"], TRUE_SIZE["val2014"]
            return dict(
                zip(_SPLITS, (train, validation, _of(self.test_images, _QUESTIONS_PER_IMAGE)), strict=True)
            )
        each = _QUESTIONS_PER_IMAGE if self.questions is None else self.questions / self.images
        count = self.validation_images or max(self.images // 2, 1)
        return dict(zip(_SPLITS, (_of(n, each) for n in (self.images, count, self.test_images)), strict=True))

    @property
    def digits(self) -> int:
        """Of a question's number on its image, the same for all splits; COCO's are three."""
        most = max(-(-questions // images) for images, questions in self.sizes.values())
        return max(3, len(str(most - 1)))

    def write(self, folder: Path, log: Callable[[str], None] = lambda line: None) -> None:
        """The questions and pictures of three splits, and the annotations of all, also of the test questions.

        A folder that a killed process left half is made anew. Raises UserError where `folder` holds anything.
        """
        self.check()
        seeds = np.random.SeedSequence(self.seed).spawn(len(_SPLITS))
        first = 1
        with new_folder(folder) as partial:
            for (split, (images, questions)), seed in zip(self.sizes.items(), seeds, strict=True):
                numbers = first + np.cumsum(np.random.default_rng(seed).integers(1, _SPACING, images))
                first = int(numbers[-1])
                of_contents, of_pictures, of_questions = map(np.random.default_rng, seed.spawn(3))
                contents = make_contents(images, of_contents)
                _write_pictures(partial / split, split, contents, numbers, self.size, of_pictures)
                asked = ask(contents, questions, of_questions)
                _write_json(partial, split, asked, numbers, self.digits)
                log(
                    f"{split}: {images:,} images, {questions:,} questions, {len(set(asked.texts)):,} of them different"
                )


def _of(images: int, each: float) -> tuple[int, int]:
    return images, max(round(images * each), images)


def _write_pictures(
    folder: Path, split: str, contents: Contents, numbers: np.ndarray, size: int, rng: np.random.Generator
) -> None:
    folder.mkdir()

    def write_one(pair: tuple[np.ndarray, int]) -> None:
        pixels, number = pair
        Image.fromarray(pixels).save(folder / f"COCO_{split}_{number:012d}.png", compress_level=1)

    with ThreadPoolExecutor() as pool:
        for start in range(0, len(contents), _CHUNK):
            rows = slice(start, min(start + _CHUNK, len(contents)))
            pictures = draw(contents, rows, size, rng)
            list(pool.map(write_one, zip(pictures, numbers[rows].tolist(), strict=True)))


def _write_json(folder: Path, split: str, asked: Questions, numbers: np.ndarray, digits: int) -> None:
    """question_ids are those of COCO: the image's number, and then, of so many digits, the question's on it."""
    image = numbers[asked.image]
    place = np.arange(len(image)) - np.searchsorted(asked.image, asked.image)
    name = image * 10**digits + place
    lines = (
        f'{{"image_id": {number}, "question": {json.dumps(text)}, "question_id": {key}}}'
        for number, text, key in zip(image.tolist(), asked.texts, name.tolist(), strict=True)
    )
    _listed(folder / f"v2_OpenEnded_mscoco_{split}_questions.json", "questions", split, lines)
    answered = _annotations(asked, image, name)
    _listed(folder / f"v2_mscoco_{split}_annotations.json", "annotations", split, answered)


def _annotations(asked: Questions, image: np.ndarray, name: np.ndarray) -> Iterator[str]:
    written = [
        [json.dumps(text) for text in (word, *others)]
        for word, others in zip(words(), _others(), strict=True)
    ]
    after = [f', "answer_confidence": "yes", "answer_id": {k}}}' for k in range(1, asked.given.shape[1] + 1)]
    rows = zip(
        image.tolist(), name.tolist(), asked.kind.tolist(), asked.commonest.tolist(),
        asked.given.tolist(), asked.otherwise.tolist(), strict=True,
    )  # fmt: skip
    for number, key, kind, commonest, given, otherwise in rows:
        answers = ", ".join(
            f'{{"answer": {written[answer][how]}{rest}'
            for answer, how, rest in zip(given, otherwise, after, strict=True)
        )
        yield (
            f'{{"question_type": "{KINDS[kind].question_type}", "multiple_choice_answer": {written[commonest][0]}, '
            f'"answers": [{answers}], "image_id": {number}, "answer_type": "{KINDS[kind].answer_type}", '
            f'"question_id": {key}}}'
        )


def _others() -> list[tuple[str, str]]:
    """Two other ways to write each answer."""
    return [(others[0], others[-1]) for others in variants()]


def _listed(path: Path, name: str, split: str, entries: Iterator[str]) -> None:
    with path.open("w", encoding="ascii") as file:
        file.write(f'{{"data_type": "mscoco", "data_subtype": "{split}", "{name}": [')
        some: list[str] = []
        before = ""
        for entry in entries:
            some.append(entry)
            if len(some) == _LINES:
                file.write(before + ", ".join(some))
                some, before = [], ", "
        if some:
            file.write(before + ", ".join(some))
        file.write("]}")
