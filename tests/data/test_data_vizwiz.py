"""VizWiz as small files of its layout: what is read, by hand, and each fault with its message."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxlab.core.types import UserError
from jaxlab.data import Images, VizWiz, decode

SAID = {
    "train": [
        ("a.jpg", "What is this?", ["The Can.", "can", "soda"] + ["pop"] * 2 + ["x"] * 5, "other", 1),
        ("b.jpg", "", ["unanswerable"] * 8 + ["can"] * 2, "unanswerable", 0),
        ("c.jpg", "Color?", ["soda", "can"] * 5, "other", 1),  # equally many: the first
        ("d.jpg", "How many?", ["two"] * 6 + ["unanswerable"] * 4, "number", 1),
        ("e.jpg", "What?", ["unanswerable"] * 10, "unanswerable", 0),
    ],
    "val": [("f.jpg", "What?", ["soda"] * 5 + ["cup"] * 5, "other", 1)],
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "vizwiz"
    (root / "Annotations").mkdir(parents=True)
    for split, rows in {**SAID, "test": [("g.jpg", "What is it?")]}.items():
        (root / split).mkdir()
        for name, *_ in rows:
            Image.new("RGB", (8, 8), (ord(name[0]), 0, 0)).save(root / split / name, "png")
        entries = [dict(zip(("image", "question"), row, strict=False)) for row in rows]
        if split != "test":
            for entry, (_, _, said, kind, answerable) in zip(entries, rows, strict=True):
                given = [{"answer": text, "answer_confidence": "maybe"} for text in said]
                entry.update(answers=given, answer_type=kind, answerable=answerable)
        (root / "Annotations" / f"{split}.json").write_text(json.dumps(entries))
    return root


def test_questions_and_what_most_people_answered(root):
    data = VizWiz(root=str(root)).open()
    train = data.train
    assert train.ids.tolist() == [row[0] for rows in SAID.values() for row in rows]
    assert data.targets == ("unanswerable", "2", "soda", "x")  # by how often, then by their letters
    assert train.label.tolist() == [3, 0, 2, 1, 0, 2]
    assert train.columns["question"].tolist() == [row[1] for rows in SAID.values() for row in rows]
    assert train.columns["split"].tolist() == ["train"] * 5 + ["val"]
    assert train.columns["answerable"].tolist() == ["1", "0", "1", "1", "0", "1"]
    assert train.columns["answer_type"].tolist()[:2] == ["other", "unanswerable"]
    assert train.columns["answers"][3].tolist() == ["two"] * 6 + ["unanswerable"] * 4
    assert decode(train, np.arange(6), Images())[:, 0, 0, 0].tolist() == [ord(letter) for letter in "abcdef"]
    test, _ = VizWiz(root=str(root)).open_test()
    assert (test.ids.tolist(), test.label, test.columns["question"].tolist()) == (
        ["g.jpg"],
        None,
        ["What is it?"],
    )


def test_that_a_question_cannot_be_answered_need_not_be_a_class(root):
    data = VizWiz(root=str(root), unanswerable=False).open()
    assert data.targets == ("2", "soda", "x")
    assert data.train.label.tolist() == [2, -1, 1, 0, -1, 1]


def edit(change: Callable[[list], object], split: str = "train") -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        path = root / "Annotations" / f"{split}.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return spoil


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "no file": (lambda r: (r / "Annotations/train.json").unlink(), r"train\.json: no such file"),
    "an object": (
        lambda r: (r / "Annotations/train.json").write_text('{"questions": []}'),
        r"train\.json: expected a list of questions, found dict",
    ),
    "no answers": (edit(lambda e: e[1].pop("answers")), r"1 of the 5 questions have no 'answers' \(number 1"),
    "nine answers": (edit(lambda e: e[1]["answers"].pop()), r"lack a list of 10 answers.*\(image b\.jpg\)"),
    "no question": (
        edit(lambda e: e[1].update(question=None)),
        r"expected a text as 'question', found .* 1 of the 5 questions \(number 1: None, counted from 0\)",
    ),
    "no image's name": (edit(lambda e: e[2].update(image=3)), r"expected a text as 'image'.*\(number 2: 3,"),
    "answerable": (
        edit(lambda e: e[0].update(answerable=True)),
        r"expected a whole number or a text as 'answerable'.*\(number 0: True,",
    ),
    "no text": (edit(lambda e: e[1]["answers"][0].update(answer=None)), r"lack a list of 10 answers.*b\.jpg"),
    "twice": (edit(lambda e: e[1].update(image="a.jpg")), r"1 images occur more than once \(a\.jpg\)"),
    "two splits": (
        lambda r: [
            edit(lambda e: e[0].update(image="a.jpg"), "val")(r),
            (r / "val/f.jpg").rename(r / "val/a.jpg"),
        ],
        r"1 images are in two splits \(a\.jpg\)",
    ),
    "no image": (
        lambda r: (r / "test/g.jpg").unlink(),
        r"test: no image for 1 of the 1 images of .*test\.json \(g\.jpg\)",
    ),
    "half a download": (
        lambda r: [(r / "Annotations/val.json").unlink(), (r / "Annotations/test.json").unlink()],
        r"val\.json: no such file, though .*val is there: half a download.*test\.json: no such file",
    ),
    "an answer beside the ten": (
        edit(lambda e: [e[1].update(answer="can"), e[2].pop("answers")]),
        r"1 of the 5 questions have no 'answers' \(number 2",
    ),
    "no folder": (lambda r: (r / "val").rename(r / "x"), "val: expected a folder of images, found nothing"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_explained(root, case):
    spoil, words = BAD[case]
    spoil(root)
    with pytest.raises(UserError, match=words) as error:
        VizWiz(root=str(root)).open()
    assert "\n" not in str(error.value)


def test_fields_that_do_not_go_together():
    with pytest.raises(UserError, match=r"VizWiz\.answers: expected 2 or more, found 1"):
        VizWiz(answers=1)
    with pytest.raises(UserError, match="VizWiz: annotations would be one file for every split"):
        VizWiz(annotations="all.json")
