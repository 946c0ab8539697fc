"""What is said of a split, before anything is trained."""

from dataclasses import replace

import numpy as np
import pytest

from jaxlab.core.types import Samples
from jaxlab.data import Arrays, Flip, GroupedSplit, Oversample, RandomSplit, Shift
from jaxlab.data.source import Opened
from jaxlab.experiment import Experiment, Objective
from jaxlab.experiment.overfit import overfitting
from jaxlab.experiment.sides import asked_of_mirrored, positions_of, seen_on_both_sides
from jaxlab.losses import CrossEntropy
from jaxlab.models import ImageAndText, ShallowCNN
from jaxlab.objectives import Classification


def samples(shared: bool, **columns: np.ndarray) -> Samples:
    """Of 20 images, with three questions each where they are shared."""
    image = np.repeat(np.arange(20), 3)
    return Samples(
        ids=np.arange(60).astype(str),
        read=lambda k: np.zeros((2, 2, 3), np.uint8),
        checksum=lambda k: b"",
        columns={"image": image.astype(str), **columns},
        image_of=image if shared else None,
    )


def test_images_that_both_sides_see_are_counted():
    asked, split = samples(True), RandomSplit(validation=0.2)
    learn, validate = split.split(asked)
    known = set(asked.columns["image"][learn].tolist())
    both = sum(name in known for name in asked.columns["image"][validate].tolist())
    assert both > 6
    (line,) = seen_on_both_sides(asked, (learn, validate))
    assert line.startswith(
        f"warning: {both} of 12 samples for validation are of images that training sees, too"
    )
    assert 'split=GroupedSplit(column="image")' in line
    assert "ColumnSplit" not in line


@pytest.mark.parametrize("shared", [False, True])
def test_nothing_is_said_where_no_image_is_on_both_sides(shared):
    asked = samples(shared)
    split = GroupedSplit(column="image", validation=0.2) if shared else RandomSplit()
    assert seen_on_both_sides(asked, split.split(asked)) == []


@pytest.mark.parametrize(
    ("augment", "said"),
    [((Shift(pixels=1), Flip()), True), ((Flip(horizontal=False, vertical=True),), False), ((), False)],
)
def test_questions_that_name_a_side_of_mirrored_images_are_counted(augment, said):
    texts = np.array(["What is LEFT of it?", "Is it bright?", "the leftmost one?", "is it right"] * 15)
    experiment = Experiment(data=Arrays(), model=ImageAndText(image=ShallowCNN()), augment=augment)
    lines = asked_of_mirrored(experiment, samples(False, question=texts), np.arange(8))
    assert len(lines) == said
    assert all(
        "and 6 of 8 questions name a side ('What is LEFT of it?', 'the leftmost one?'" in line
        for line in lines
    )


OF = {name: Objective(loss=CrossEntropy(), of=name) for name in ("label", "answerable")}


def answered() -> Opened:
    """60 questions, of which every third has none of the classes, as it cannot be answered."""
    label = np.where(np.arange(60) % 3 == 0, -1, np.arange(60) % 2).astype(np.int32)
    made = samples(False, answerable=np.where(label < 0, "0", "1"))
    return Opened(train=replace(made, label=label), test=None, kind="classification", targets=("a", "b"))


@pytest.mark.parametrize(
    ("names", "parts", "kept"),
    [
        (["label"], {}, False),
        (["answerable"], {}, True),
        (["label", "answerable"], {}, True),
        (["label", "answerable"], {"balance": Oversample()}, False),  # which shows classes equally often
    ],
)
def test_samples_of_no_class_teach_what_is_no_class(names, parts, kept):
    opened = answered()
    experiment = Experiment(data=Arrays(), objectives={name: OF[name] for name in names}, **parts)
    learn, validate = positions_of(experiment, opened)
    whole, held = experiment.split.split(opened.train)
    assert learn.tolist() == [k for k in whole.tolist() if kept or k % 3]
    assert validate.tolist() == held.tolist()
    again, same = positions_of(overfitting(experiment, batches=1, epochs=1), opened)
    assert again.tolist() == same.tolist()
    assert any(k % 3 == 0 for k in again.tolist()) == (kept or "balance" in parts)  # which is off there


@pytest.mark.parametrize(("limited", "said"), [(False, 1), (True, 0)])
def test_a_class_that_training_has_no_sample_of_is_named(limited, said):
    one = OF["answerable"]
    goal = Classification(name="asked", of="answerable", head=one.head, loss=one.loss, targets=("0", "1"))
    learn = np.array([k for k in range(60) if k % 3])
    lines = goal.learnable(answered().train, learn, True, limited)
    assert len(lines) == said
    assert all(
        "'asked': 1 class has no sample among the 40 for training (0); another split" in line
        for line in lines
    )
    assert goal.learnable(answered().train, np.arange(60), True) == []
