"""What cannot be learned is said before anything is decoded: one class alone, and targets that never change.

The kind: a training that ends well, with a loss of 0 and an accuracy of 1, and has learned nothing.
"""

import numpy as np
import pytest

from jaxlab.core.blocks import BlockDiagonal
from jaxlab.core.types import Samples, UserError
from jaxlab.experiment import Objective
from jaxlab.losses import CrossEntropy, Mse
from jaxlab.objectives import resolved

IDS = np.array(list("abcdef"))


def samples(**truth) -> Samples:
    return Samples(IDS, lambda k: None, lambda k: b"", **truth)


def of(loss, *targets):
    (one,) = resolved({"goal": Objective(loss=loss)}, {"goal": targets})
    return one


@pytest.mark.parametrize("limited", [False, True])
def test_one_class_alone_is_refused(limited):
    one, label = of(CrossEntropy(), "cat"), np.zeros(6, np.int32)
    with pytest.raises(UserError, match=r"objective 'goal': expected two classes or more .* found cat"):
        one.learnable(samples(label=label), np.arange(4), True, limited)


def test_targets_that_are_constant_in_training_are_named():
    """Whether or not others are, in validation; of more samples than are looked at at a time."""
    one = of(Mse(), "u", "v", "w")
    target = np.array([[1, 5, 2], [1, 5, 3], [1, 5, 2], [1, 6, 2], [1, 5, 2], [2, 5, 2]], np.float32)
    (line,) = one.learnable(samples(target=target), np.array([0, 1, 2, 4]), True)
    assert line.startswith("warning: goal: 2 of 3 targets constant in all training samples (u, v)")
    assert one.learnable(samples(target=target), np.arange(6), True) == []
    assert one.learnable(samples(target=target), np.array([3]), True) == [], "of one sample nothing is said"
    many = np.ones((1100, 3), np.float32)
    many[1050, 2] = 7
    long = Samples(np.arange(1100).astype(str), lambda k: None, lambda k: b"", target=many)
    (line,) = one.learnable(long, np.arange(1100), True)
    assert "2 of 3 targets constant in all training samples (u, v)" in line


def test_of_several_subjects_it_is_in_their_own_samples():
    one = of(Mse(), "s1/u", "s1/v", "s2/u")
    own = (np.array([[1, 5], [1, 6]], np.float32), np.array([[4], [4], [4], [5]], np.float32))
    (line,) = one.learnable(samples(target=BlockDiagonal(own)), np.array([0, 1, 2, 3, 4]), True)
    assert "2 of 3 targets constant in all training samples (s1/u, s2/u)" in line
