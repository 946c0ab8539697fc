"""What is said of pretrained weights that have seen the samples for validation."""

from dataclasses import replace

import numpy as np
import pytest
from tiny import tiny

from jaxlab.data import Images, RandomSplit
from jaxlab.encode import ImageEncoder, Ridge
from jaxlab.models import ShallowCNN
from jaxlab.runs.learned import learned_before


@pytest.fixture
def sides(arrays_npz):
    """The data, and of a split by another seed: positions to validate on, and how many of them the run learned."""
    opened = tiny(arrays_npz).data.open()
    _, validate = RandomSplit(validation=0.2, seed=1).split(opened.train)
    theirs, _ = RandomSplit(validation=0.2).split(opened.train)
    return opened, validate, len(set(validate.tolist()) & set(theirs.tolist()))


def test_samples_that_a_run_learned_are_counted(arrays_npz, trained, sides):
    opened, validate, both = sides
    assert both > 3
    model = ShallowCNN(channels=(4, 6), kernel_sizes=(3, 3), pretrained=f"{trained}#last")
    encoder = ImageEncoder(model=model, images=Images(size=(16, 16)))
    for config in (
        tiny(arrays_npz, model=model),
        Ridge(data=tiny(arrays_npz).data, encoders=(encoder, encoder)),
    ):
        (line,) = learned_before(config, opened, validate)
        assert f"{trained}#last were trained on {both} of the 9 samples for validation" in line


def test_nothing_is_said_by_the_same_split_or_of_other_data(arrays_npz, trained, sides):
    opened, validate, _ = sides
    config = tiny(arrays_npz, f"model.pretrained={trained}")
    _, same = config.split.split(opened.train)
    assert learned_before(config, opened, same) == []
    others = replace(opened, train=replace(opened.train, target=np.asarray(opened.train.target) + 1))
    assert learned_before(config, others, validate) == []
    assert learned_before(tiny(arrays_npz), opened, validate) == []
