"""Simulated questions: answers that follow from the picture, by hand; pictures by their pixels; files as VQA v2's."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from jaxlab.cli.main import main
from jaxlab.core.types import UserError
from jaxlab.data import VQAv2
from jaxlab.data.simulation.answers import (
    COLOURS,
    FIRST_THING,
    NOUNS,
    PLACES,
    SHAPES,
    THINGS,
    variants,
    words,
)
from jaxlab.data.simulation.question_files import SimulatedQuestions
from jaxlab.data.simulation.question_scenes import Contents, draw, make_contents
from jaxlab.data.simulation.questions import KINDS, ask
from submit.metrics.vqa import normalise

# A red square and two blue circles on a beach, and in the first corner a large cat.
SQUARE, CIRCLE, RED, BLUE = (names.index(name) for names, name in (
    (SHAPES, "square"), (SHAPES, "circle"), (COLOURS, "red"), (COLOURS, "blue")
))  # fmt: skip
CAT = words().index("large cat") - FIRST_THING
ONE = Contents(
    place=np.array([PLACES.index("beach")]),
    thing=np.array([CAT]),
    corner=np.array([0]),
    count=np.array([3]),
    shape=np.array([[SQUARE, CIRCLE, CIRCLE, CIRCLE, SQUARE, SQUARE]]),
    colour=np.array([[RED, BLUE, BLUE, RED, BLUE, BLUE]]),
    cell=np.array([[0, 1, 11, 3, 4, 5]]),
)
RIGHT = {
    "is there a red square": "yes",
    "is there a blue circle": "yes",
    "is there a red circle": "no",
    "is there a blue square": "no",
    "are there any squares": "yes",
    "are there any triangles": "no",
    "is this a beach?": "yes",
    "is this a kitchen?": "no",
    "how many circles are there": "2",
    "how many squares are there": "1",
    "how many shapes are there": "3",
    "what color is the square": "red",
    "what color is the circle": "blue",
    "where is this?": "beach",
    "what is this thing?": "large cat",
    "what is in the corner?": "large cat",
    "what kind of cat is this?": "large cat",
}


def test_answers_follow_from_what_a_picture_shows():
    asked = ask(ONE, 3000, np.random.default_rng(0))
    seen = set()
    for text, answer in zip(asked.texts, asked.answer.tolist(), strict=True):
        for start, right in RIGHT.items():
            if start in text.lower():
                assert words()[answer] == right, text
                seen.add(start)
    assert seen == set(RIGHT)
    agreed = (asked.given == asked.answer[:, None]).mean(1)
    assert 0 <= agreed.min() < 0.5 < agreed.mean() < 0.9  # ten people who differ
    ordered = [np.bincount(row).argmax() for row in asked.given]
    assert asked.commonest.tolist() == ordered


def test_a_picture_shows_its_contents():
    picture = draw(ONE, slice(0, 1), 32, np.random.default_rng(0))[0].astype(int)
    for (down, across), rgb in {(0, 2): (219, 26, 31), (0, 3): (26, 64, 217), (3, 3): (26, 64, 217)}.items():
        middle = picture[down * 8 + 3 : down * 8 + 5, across * 8 + 3 : across * 8 + 5].mean((0, 1))
        np.testing.assert_allclose(middle, rgb, atol=12)
    other = Contents(**{**vars(ONE), "thing": np.array([CAT + 1])})
    same = abs(draw(other, slice(0, 1), 32, np.random.default_rng(0))[0].astype(int) - picture).max(2) == 0
    assert not same[:16, :16].all()
    assert same[16:].all()


def test_other_ways_to_write_an_answer_are_the_same_to_the_benchmark():
    for word, others in list(zip(words(), variants(), strict=True))[:: 97 if len(words()) > 1000 else 1]:
        assert {normalise(text) for text in (word, *others)} == {normalise(word)} == {word}
    assert len(set(words())) == len(words()) == FIRST_THING + THINGS
    assert words()[FIRST_THING : FIRST_THING + len(NOUNS)] == NOUNS


def test_the_files_are_vqa_v2s(tmp_path):
    made = CliRunner().invoke(main, ["simulate", str(tmp_path / "vqa"), "--kind", "vqa", "--images", "40"])
    assert made.exit_code == 0, made.output
    assert made.output.splitlines()[0].startswith("train2014: 40 images, 214 questions, ")
    opened = VQAv2(root=str(tmp_path / "vqa")).open()
    train = opened.train
    assert (len(train), len(opened.test)) == (214 + 107, 2680)
    assert np.unique(train.image_of).size == 60
    assert train.read(0).shape == (32, 32, 3)
    assert set(train.columns["answer_type"].tolist()) == {"yes/no", "number", "other"}
    assert set(train.columns["question_type"].tolist()) <= {kind.question_type for kind in KINDS}
    said = json.loads((tmp_path / "vqa" / "v2_mscoco_test2015_annotations.json").read_text())["annotations"]
    assert len(said) == 2680
    assert len(said[0]["answers"]) == 10


def test_answers_are_as_unequal_as_vqa_v2s():
    """Of its training questions 38 % are yes or no, the 1,000 most frequent answers cover 87 %: near that."""
    rng = np.random.default_rng(0)
    asked = ask(make_contents(20_000, rng), 107_000, rng)
    counts = np.sort(np.bincount(asked.answer))[::-1]
    assert counts[:2].sum() / counts.sum() == pytest.approx(0.38, abs=0.01)
    assert 0.8 < counts[:1000].sum() / counts.sum() < 0.95


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"size": 30}, "a multiple of 4, found 30"),
        ({"images": 0}, "expected 1 or more, found {'images': 0}"),
        ({"images": 10, "questions": 5}, "expected one or more an image, 10, found 5"),
    ],
)
def test_sizes_that_cannot_be(fields, words, tmp_path):
    with pytest.raises(UserError, match=words):
        SimulatedQuestions(**fields).write(tmp_path / "x")


def test_true_size_and_options_of_the_other_kind():
    assert list(SimulatedQuestions(full=True).sizes.values())[:2] == [(82_783, 443_757), (40_504, 214_354)]
    said = CliRunner().invoke(main, ["simulate", "x", "--kind", "vqa", "--neurons", "3"])
    assert "--neurons: has no part in --kind vqa" in said.output
    said = CliRunner().invoke(main, ["simulate", "x", "--full"])
    assert "--full: has no part in --kind neurons" in said.output


@pytest.mark.parametrize(("questions", "last"), [(1000, 999), (1001, 1000)])
def test_question_ids_are_different_however_many_an_image_has(tmp_path, questions, last):
    """That of COCO's image 9 with question 3 is 9003; of more than a thousand on each the digits are four."""
    made = SimulatedQuestions(images=1, validation_images=1, test_images=1, questions=questions, size=16)
    made.write(tmp_path / "made")
    opened = VQAv2(root=str(tmp_path / "made")).open()
    asked = zip(opened.train.columns["image"].tolist(), range(questions), strict=False)
    width = len(str(last))
    assert opened.train.ids.tolist()[:questions] == [f"{image}{k:0{width}}" for image, k in asked]
    assert len(set(opened.train.ids.tolist())) == 2 * questions
