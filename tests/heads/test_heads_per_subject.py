"""A readout for each subject, against each one's own weights in numpy."""

import numpy as np
import pytest
from readouts import SHAPES, built, evaluated, features_of

from jaxlab import UserError
from jaxlab.heads import Linear, LowRank, PerSubject

TARGETS = ("s1/a", "s1/b", "v4-19.x/a", "s10/a", "s10/b", "s10/c")


def test_each_subject_is_read_by_its_own_weights():
    module = built(PerSubject(head=Linear(layer="last")), TARGETS)
    features = features_of(3)
    expected = [
        np.asarray(features["last"]) @ np.asarray(module.parts[name].layers["last"].kernel[...])
        + np.asarray(module.parts[name].bias[...])
        for name in ("s1", "v4-19.x", "s10")
    ]
    np.testing.assert_allclose(evaluated(module, features), np.concatenate(expected, 1), rtol=1e-5)


def test_a_subject_may_have_another_head():
    head = PerSubject(head=Linear(layer="last"), heads={"s10": LowRank(layer="first", rank=1)})
    module = built(head, TARGETS)
    assert tuple(module.parts["s10"].names) == ("first",)
    assert module.parts["s1"].layers["last"].kernel.shape == (*SHAPES["last"], 2)


@pytest.mark.parametrize(
    ("head", "targets", "words"),
    [
        (PerSubject(), ("a", "b"), "expected targets SUBJECT/TARGET.*found a, b"),
        (PerSubject(heads={"s3": Linear()}), TARGETS, "no subject s3; the data have s1, v4-19.x, s10"),
    ],
)
def test_names_that_are_no_subjects(head, targets, words):
    with pytest.raises(UserError, match=words):
        built(head, targets)
    with pytest.raises(UserError, match=words):
        head.check_targets(targets)
