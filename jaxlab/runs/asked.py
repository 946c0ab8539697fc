"""Questions about images that are handed over: which image each is about, so that both are samples of a run."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxlab.core.types import Samples, UserError
from jaxlab.core.words import counted
from jaxlab.data.readers.tables import read_columns, strings
from jaxlab.data.source import examples
from jaxlab.encode.encoder import columns_of as encoded
from jaxlab.experiment.study import innermost
from submit.near_names import composed

_IMAGE, _QUESTION = "image", "question"  # columns of a file of questions
_HOW = (
    "run.predict(images, questions=[...]), or from a shell --images FOLDER --questions FILE.csv with the columns image "
    "and question"
)


def columns_of(experiment: Any) -> tuple[str, ...]:
    """The columns of texts that what is trained reads beside images; none where it sees images alone."""
    inner = innermost(experiment)
    encoders = getattr(inner, "encoders", ()) or getattr(inner.data, "encoders", ())
    model: Any = getattr(inner, "model", None)
    own = [model.column] if getattr(model, "asks", False) else []
    return tuple(dict.fromkeys([*encoded(encoders), *own]))


def check_asks(columns: Sequence[str], given: bool, run: Path) -> None:
    """Raises UserError where a run gets questions and takes none, or the reverse. given: whether there are some."""
    if given and not columns:
        raise UserError(f"{run}: takes no questions: it sees images alone")
    if columns and not given:
        raise UserError(
            f"{run}: answers questions about images (it reads the column {columns[0]!r}), and there are none; give "
            f"them with {_HOW}"
        )
    if len(columns) > 1:
        raise UserError(
            f"{run}: reads several texts of each sample ({examples(columns)}), which only those of a split bring along"
        )


def asked(samples: Samples, questions: Sequence[str], column: str) -> Samples:
    """A sample a question: of as many images one each, in order; of one image all of them, and one of all images.

    Raises UserError for another number of images, and for questions that are no text or empty.
    """
    if isinstance(questions, str) or not isinstance(questions, Iterable):
        found = f"one text, {questions[:60]!r}" if isinstance(questions, str) else type(questions).__name__
        raise UserError(f"questions: expected a list of texts, found {found}")
    texts = list(questions)
    most = max(len(samples), len(texts))
    if not texts or not {len(samples), len(texts)} <= {1, most}:
        raise UserError(
            f"questions: expected as many as images, {len(samples):,}, or one of either for all of the others; found "
            f"{len(texts):,}"
        )
    rows = np.zeros(most, int) if len(samples) == 1 else np.arange(most)
    return about(samples, rows, texts * most if len(texts) == 1 else texts, column)


def about(samples: Samples, rows: np.ndarray, texts: Sequence[str], column: str) -> Samples:
    """A sample a question, the k-th about the image at rows[k]. Ids are the images': `1.png`, then `1.png#2` and so on.

    Raises UserError for questions that are no text or empty.
    """
    if wrong := [k for k, text in enumerate(texts) if not isinstance(text, str)]:
        raise UserError(f"questions: expected texts, found {texts[wrong[0]]!r} at position {wrong[0]}")
    if empty := [k for k, text in enumerate(texts) if not text.strip()]:
        raise UserError(f"questions: {len(empty):,} are empty (positions {examples(empty)}, counted from 0)")
    deep = samples.deep
    question = np.empty(len(texts), dtype=object)
    question[:] = list(texts)
    return replace(
        samples,
        ids=_numbered(samples.ids[rows].tolist()),
        read=lambda position: samples.read(int(rows[position])),
        checksum=lambda position: samples.checksum(int(rows[position])),
        deep=None if deep is None else lambda position: deep(int(rows[position])),
        columns={column: question},
        image_of=rows,
    )


def each(samples: Samples, questions: Sequence[str | None], columns: Sequence[str]) -> Samples:
    """The k-th question about the k-th image; samples as they are, of a run that takes no questions."""
    return (
        about(samples, np.arange(len(samples)), [text or "" for text in questions], columns[0])
        if columns
        else samples
    )


def read_questions(path: Path, images: Samples) -> tuple[np.ndarray, list[str]]:
    """The row of each question's image, and its text, of a CSV (or parquet) with the columns image and question.

    Raises UserError for images that are not there, and for questions that are empty.
    """
    table = read_columns(path, (_IMAGE, _QUESTION))
    names, texts = (strings(table[column]).tolist() for column in (_IMAGE, _QUESTION))
    if empty := [row for row, text in enumerate(texts) if not text.strip()]:
        raise UserError(
            f"{path}: expected a text in each row of {_QUESTION!r}, found {counted(len(empty), 'row')} without "
            f"({examples(row + 1 for row in empty)}, counted from 1 below the header)"
        )
    place = {composed(name): row for row, name in enumerate(images.ids.tolist())}
    place |= {name: row for row, name in enumerate(images.ids.tolist())}
    names = [name if name in place else composed(name) for name in names]
    if absent := [name for name in dict.fromkeys(names) if name not in place]:
        raise UserError(
            f"{path}: no image for {len(absent):,} of its {counted(len(set(names)), 'name')} ({examples(absent)}); "
            f"there are {examples(images.ids.tolist(), 2)}"
        )
    return np.array([place[name] for name in names]), texts


def _numbered(names: list[str]) -> np.ndarray:
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return np.array(found, dtype=str)
