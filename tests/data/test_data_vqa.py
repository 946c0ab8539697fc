"""VQA v2 as small files of its layout: what is read, each fault with its message."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import jaxlab
from jaxlab.core.types import UserError
from jaxlab.data import ColumnSplit, GroupedSplit, Images, VQAv2, decode
from jaxlab.data.source import Opened
from jaxlab.experiment import Experiment, Training
from jaxlab.losses import CrossEntropy
from jaxlab.models import ShallowCNN
from jaxlab.runs import api
from jaxlab.runs.predict import predict_runs
from jaxlab.training import journal
from submit import Labels, vqa_results
from submit.metrics.vqa import vqa_accuracy

# question_id, image_id, question, the commonest answer
ASKED = {
    "train2014": [
        (90, 9, "What is it?", "A dog."),
        (91, 9, "How many?", "two"),
        (92, 9, "Is it red?", "yes"),
        (250, 25, "What is it?", "dog"),
        (251, 25, "Is it red?", "yes"),
        (252, 25, "Why?", "because it is"),
        (253, 25, "Is it big?", "Yes"),
        (254, 25, "Is it old?", "yes"),
    ],
    "val2014": [(420, 42, "What is it?", "dog"), (421, 42, "What is it?", "a marmot")],
}
TO_ASK = [(700, 70, "What is it?"), (600, 60, "Is it red?"), (601, 60, "Why?")]


def questions(split: str, rows: list) -> dict:
    keys = ("question_id", "image_id", "question")
    return {"data_subtype": split, "questions": [dict(zip(keys, row, strict=False)) for row in rows]}


def annotations(rows: list) -> dict:
    """Seven annotators agree and three do not."""
    return {
        "annotations": [
            {
                "question_id": number,
                "image_id": image,
                "question_type": text.split()[0].lower(),
                "answer_type": "other",
                "multiple_choice_answer": answer,
                "answers": [{"answer": a, "answer_id": k} for k, a in enumerate([answer] * 7 + ["x"] * 3)],
            }
            for number, image, text, answer in rows
        ]
    }


def names(split: str) -> tuple[str, str]:
    return f"v2_OpenEnded_mscoco_{split}_questions.json", f"v2_mscoco_{split}_annotations.json"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "vqa"
    for split, numbers in {"train2014": (9, 25), "val2014": (42,), "test2015": (60, 70)}.items():
        (root / split).mkdir(parents=True)
        for number in numbers:
            color = (number, 0, 0)
            file = root / split / f"COCO_{split}_{number:012d}.jpg"
            Image.new("RGB", (16, 16), color).save(file, "png")  # exact, whatever the suffix says
        rows = ASKED.get(split, TO_ASK)
        (root / names(split)[0]).write_text(json.dumps(questions(split, rows)))
        if split in ASKED:
            (root / names(split)[1]).write_text(json.dumps(annotations(rows)))
    return root


def opened(root: Path, **fields) -> Opened:
    return VQAv2(root=str(root), **fields).open()


def test_questions_are_samples_that_share_images(root: Path) -> None:
    data = opened(root)
    train = data.train
    asked = [row for rows in ASKED.values() for row in rows]
    assert train.ids.tolist() == [str(row[0]) for row in asked]
    assert train.columns["question"].tolist() == [row[2] for row in asked]
    assert train.columns["image"].tolist() == [str(row[1]) for row in asked]
    assert train.columns["split"].tolist() == ["train"] * 8 + ["val"] * 2
    assert train.columns["question_type"].tolist()[:3] == ["what", "how", "is"]
    assert set(train.columns["answer_type"].tolist()) == {"other"}
    assert train.columns["answers"].shape == (10, 10)
    assert train.columns["answers"][1].tolist() == ["two"] * 7 + ["x"] * 3
    assert decode(train, np.arange(10), Images())[:, 0, 0, 0].tolist() == [row[1] for row in asked]
    assert len(np.unique(train.image_of)) == 3
    assert len(np.unique(train.image_of[:3])) == 1


def test_classes_are_the_commonest_training_answers_in_one_form(root: Path) -> None:
    data = opened(root)
    assert (data.kind, data.targets) == ("classification", ("yes", "dog", "2", "because it is"))
    assert data.train.label.tolist() == [1, 2, 0, 1, 0, 3, 0, 0, 1, -1], "no training question has a marmot"
    few = opened(root, answers=2)
    assert few.targets == ("yes", "dog")
    assert few.train.label.tolist() == [1, -1, 0, 1, 0, -1, 0, 0, 1, -1]
    perfect = [few.targets[label] for label in few.train.label]
    accuracy = vqa_accuracy(perfect, few.train.columns["answers"])
    np.testing.assert_allclose(accuracy[[0, 2, 3]], 1)


def test_test_questions_need_no_others(root: Path) -> None:
    for split in ASKED:
        for name in names(split):
            (root / name).unlink()
    test, sample = VQAv2(root=str(root)).open_test()
    assert (test.ids.tolist(), sample) == (["700", "600", "601"], None)
    assert test.label is None
    assert test.columns["question"].tolist() == [row[2] for row in TO_ASK]
    assert decode(test, np.arange(3), Images())[:, 0, 0, 0].tolist() == [70, 60, 60]


def test_one_split_under_other_names(root: Path) -> None:
    (root / "images").mkdir()
    (root / "train2014" / "COCO_train2014_000000000009.jpg").rename(root / "images" / "9.png")
    (root / "train2014" / "COCO_train2014_000000000025.jpg").rename(root / "images" / "000025.jpeg")
    for old, new in zip(names("train2014"), ("q.json", "a.json"), strict=True):
        (root / old).rename(root / new)
    whole = {"questions": "q.json", "annotations": "a.json", "images": "images"}
    data = opened(root, **whole, validation=None, test=None)
    assert (len(data.train), data.test) == (8, None)
    assert "split" not in data.train.columns
    learn, validate = GroupedSplit(column="image", validation=0.5).split(data.train)
    assert not set(data.train.image_of[learn]) & set(data.train.image_of[validate])
    with pytest.raises(UserError, match=r"questions, annotations would be one file for every split"):
        VQAv2(**whole)
    with pytest.raises(UserError, match=r"VQAv2\.answers: expected 2 or more, found 1"):
        VQAv2(answers=1)


def edit(which: int, change: Callable[[list], object], split: str = "train2014") -> Callable[[Path], None]:
    """Change the entries of the questions (0) or annotations (1)."""

    def spoil(root: Path) -> None:
        path = root / names(split)[which]
        content = json.loads(path.read_text())
        change(next(value for value in content.values() if isinstance(value, list)))
        path.write_text(json.dumps(content))

    return spoil


def write(which: int, text: str) -> Callable[[Path], object]:
    return lambda root: (root / names("train2014")[which]).write_text(text)


def gone(split: str, *which: int) -> Callable[[Path], object]:
    return lambda root: [(root / names(split)[k]).unlink() for k in which]


BAD: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "no file": (lambda r: (r / names("train2014")[0]).unlink(), ["questions.json: no such file"]),
    "no annotations": (
        lambda r: (r / names("val2014")[1]).unlink(),
        ["val2014_annotations.json: no such file"],
    ),
    "half of validation": (
        gone("val2014", 0),
        ["val2014_questions.json: no such file, though", "val2014_annotations.json", "half a download"],
    ),
    "images of validation": (
        gone("val2014", 0, 1),
        ["val2014_questions.json: no such file, though", "/val2014 is"],
    ),
    "half of test": (
        lambda r: (r / names("test2015")[0]).unlink(),
        ["test2015_questions.json: no such file", "test2015"],
    ),
    "not JSON": (
        write(1, '{"annotations": ['),
        ["annotations.json: cannot be read as JSON", "line 1 column 18"],
    ),
    "nested JSON": (write(1, "[" * 100_000), ["annotations.json: cannot be read as JSON", "recursion"]),
    "half a character": (
        write(1, r'{"annotations": "\ud800"}'),
        ["annotations.json: cannot be read as JSON", r"half a character, \ud800"],
    ),
    "a list": (write(0, "[1, 2]"), ["expected a list under the key 'questions', found list"]),
    "other keys": (write(0, '{"a": 1}'), ["under the key 'questions', found the keys a"]),
    "missing key": (
        edit(0, lambda q: [q[k].pop("image_id") for k in (1, 4)]),
        ["questions.json: 2 of the 8 questions have no 'image_id' (number 1, 4, counted from 0)"],
    ),
    "missing answers": (edit(1, lambda a: a[2].pop("answers")), ["1 of the 8 annotations have no 'answers'"]),
    "an answer of none": (
        edit(1, lambda a: a[3].update(multiple_choice_answer=None)),
        [
            "annotations.json: expected a text or a number as 'multiple_choice_answer', found something else in 1 of",
            "the 8 annotations (number 3: None, counted from 0)",
        ],
    ),
    "a type of none": (
        edit(1, lambda a: a[3].update(answer_type=None)),
        ["expected a text as 'answer_type'"],
    ),
    "an answer of truth": (
        edit(1, lambda a: a[2]["answers"][3].update(answer=True)),
        ["1 annotations lack a list of 10 answers", "question_id 92"],
    ),
    "questions of none": (
        edit(0, lambda q: [q[1].update(question=None), q[4].update(question=["a"])]),
        ["expected a text as 'question'", "2 of the 8 questions (number 1: None, 4: ['a'], counted from 0)"],
    ),
    **{
        f"question_id {value!r}": (
            edit(which, lambda e, value=value: e[5].update(question_id=value)),
            ["expected a whole number or a text as 'question_id'", f"(number 5: {value!r}, counted from 0)"],
        )
        for which, value in ((0, None), (1, True), (0, 1.0), (1, {"a": 1}), (0, [252]))
    },
    "image_id": (
        edit(0, lambda q: q[5].update(image_id=25.0)),
        ["expected a whole number or a text as 'image_id'", "(number 5: 25.0"],
    ),
    "nine answers": (
        edit(1, lambda a: a[2]["answers"].pop()),
        ["1 annotations lack a list of 10 answers", "question_id 92"],
    ),
    "answers without text": (
        edit(1, lambda a: a[2]["answers"][3].pop("answer")),
        ["1 annotations lack a list of 10 answers, each with a key 'answer' (question_id 92)"],
    ),
    "duplicate question": (
        edit(0, lambda q: q[1].update(question_id=90)),
        ["questions.json: 1 question_ids occur more than once (90)"],
    ),
    "in two splits": (
        lambda r: [edit(k, lambda e: e[0].update(question_id=90), "val2014")(r) for k in (0, 1)],
        ["1 question_ids are in two splits (90)"],
    ),
    "annotation without question": (
        edit(0, lambda q: q.pop(5)),
        ["annotations.json: 1 annotations belong to no question (question_id 252)"],
    ),
    "question without annotation": (
        edit(1, lambda a: a.pop(5)),
        ["annotations.json: 1 questions have no annotation (question_id 252)"],
    ),
    "no image": (
        lambda r: (r / "train2014" / "COCO_train2014_000000000025.jpg").unlink(),
        [
            "train2014: no image for 1 of the 2 image_ids of",
            "questions.json (25)",
            "holds 1 images (COCO_train2014",
        ],
    ),
    "no test image": (
        lambda r: (r / "test2015" / "COCO_test2015_000000000070.jpg").unlink(),
        ["test2015: no image for 1 of the 2", "(70)"],
    ),
    "several images": (
        lambda r: (r / "train2014" / "9.png").write_bytes(b""),
        ["train2014: several images are numbered 9"],
    ),
    "no folder": (lambda r: (r / "train2014").rename(r / "x"), ["train2014: expected a folder of images"]),
    "one answer": (
        edit(1, lambda a: [entry.update(multiple_choice_answer="yes") for entry in a]),
        ["expected two different answers or more, found yes"],
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_explained(root: Path, case: str) -> None:
    spoil, words = BAD[case]
    spoil(root)
    with pytest.raises(UserError) as error:
        opened(root)
    assert all(word in str(error.value) for word in words), error.value
    assert "\n" not in str(error.value)


def test_all_problems_come_at_once(root: Path) -> None:
    for case in ("nine answers", "duplicate question", "no image", "no test image"):
        BAD[case][0](root)
    with pytest.raises(UserError) as error:
        opened(root)
    assert all(word in str(error.value) for word in ("10 answers", "more than once", "(25)", "(70)"))


@pytest.mark.slow
def test_training_leaves_unknown_answers_out_and_validation_counts_them_as_wrong(
    root: Path, tmp_path: Path
) -> None:
    out = io.StringIO()
    experiment = Experiment(
        data=VQAv2(root=str(root), answers=2),
        split=ColumnSplit(column="split"),
        model=ShallowCNN(channels=(4,), kernel_sizes=(3,)),
        loss=CrossEntropy(),
        training=Training(steps=2, batch_size=6, parallel="single", metric="vqa_accuracy"),
    )
    run = api.train(experiment, tmp_path / "run", console=Console(file=out))
    assert (
        "3 of 10 samples have none of the 2 classes: they are left out of training, and the 1 of 2 for validation "
        "count as wrong" in out.getvalue()
    )
    loaded = jaxlab.load(run)
    assert [len(positions) for positions in loaded.positions] == [6, 2]
    scores = loaded.evaluate("last")["validation"]
    predicted = loaded.predict_split("validation", "last")
    assert predicted.ids.tolist() == ["420", "421"]
    assert scores["accuracy"] == (predicted.values[0].argmax() == 1) / 2
    assert journal.read(run / "metrics.jsonl", "validation")[-1]["accuracy"] == scores["accuracy"]
    answers = vqa_accuracy(Labels.of(predicted).labels, loaded.opened.train.columns["answers"][8:])
    assert scores["vqa_accuracy"] == scores["vqa_accuracy_other"] == pytest.approx(answers.mean())
    out = tmp_path / "results.json"
    predict_runs([run], out, which="last", split="validation")
    judged = vqa_results.score(out, root / names("val2014")[1])
    assert (judged.questions, judged.overall) == (2, pytest.approx(scores["vqa_accuracy"]))
    said: list[str] = []
    predict_runs([run], out, which="last", log=said.append)
    assert vqa_results.check(out, root / names("test2015")[0]) == []
    assert said[-1] == f"{out}: written, checked against {root / names('test2015')[0]}"
    test = loaded.predict_split("test", "last")
    assert test.ids.tolist() == ["700", "600", "601"]
    np.testing.assert_array_equal(test.values[1], test.values[2])  # the same image
