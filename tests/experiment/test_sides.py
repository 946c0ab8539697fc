"""What is said of a split, before anything is trained."""

import numpy as np
import pytest

from jaxlab.core.types import Samples
from jaxlab.data import Arrays, Flip, GroupedSplit, RandomSplit, Shift
from jaxlab.experiment import Experiment
from jaxlab.experiment.sides import asked_of_mirrored, seen_on_both_sides
from jaxlab.models import ImageAndText, ShallowCNN


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
