"""Weights that change over epochs, and what losses are told of the epoch."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pytest

from jaxlab.core.config import from_json, to_json
from jaxlab.core.types import UserError
from jaxlab.losses import END, About, CrossEntropy, Loss, Ramp, weight_at
from jaxlab.objectives import Objective, resolved

EPOCHS = [0.0, 2.0, 3.5, 7.0, 12.0, 13.0, END]


def test_it_is_numpys_line_between_its_ends_and_half_a_cosine():
    linear, cosine = (
        Ramp(start=0.8, end=0.1, epochs=10, after=2, shape=shape) for shape in ("linear", "cosine")
    )
    line = np.interp(EPOCHS, [2, 12], [0.8, 0.1])
    np.testing.assert_allclose([linear.at(epoch) for epoch in EPOCHS], line, rtol=1e-6)
    share = np.interp(EPOCHS, [2, 12], [0, 1])
    bent = 0.1 + 0.7 * np.cos(np.pi * share / 2) ** 2
    np.testing.assert_allclose([cosine.at(epoch) for epoch in EPOCHS], bent, rtol=1e-5)
    assert weight_at(0.3, jnp.float32(5)) == 0.3
    assert float(weight_at(Ramp(start=1.0, end=0.25), END)) == 0.25
    assert from_json(to_json(linear)) == linear


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"start": -1.0}, r"expected weights of 0 or more, found start=-1\.0, end=0\.0"),
        ({"start": 0.0}, "expected a weight above 0 at start or end, found 0 at both"),
        ({"end": float("nan")}, "expected weights of 0 or more"),
        ({"epochs": 0.0}, r"Ramp\.epochs: expected more than 0, found 0\.0"),
        ({"after": -2.0}, r"Ramp\.after: expected 0 epochs or more, found -2\.0"),
    ],
)
def test_what_is_no_ramp_is_refused(fields, words):
    with pytest.raises(UserError, match=words):
        Ramp(**fields)


@dataclass(frozen=True, kw_only=True)
class TellsWhatItKnows(Loss):
    """Rows of the epoch and of the share of the rows' classes."""

    kind = "classification"
    needs_shares = True

    def rows(self, outputs, truth, about: About):
        return jnp.stack([jnp.full(len(outputs), about.epoch), about.shares[truth]]).sum(0)


def test_a_loss_is_told_the_epoch_and_the_classes_shares():
    (one,) = resolved({"label": Objective(loss=TellsWhatItKnows())}, {"label": ("a", "b", "c")})
    constants = one.constants(np.array([0, 1, 1, 1, -1, 2, 2, 2, 2], np.int32), standardize=True)
    np.testing.assert_allclose(constants["class_share"], [1 / 8, 3 / 8, 4 / 8])
    rows = one.losses(
        jnp.zeros((2, 3)), jnp.array([1, 0]), constants, lambda values: values.sum(0), jnp.float32(2.5)
    )
    np.testing.assert_allclose(rows.loss, [2.875, 2.625])
    (plain,) = resolved({"label": Objective(loss=CrossEntropy())}, {"label": ("a", "b", "c")})
    assert plain.constants(np.array([0, 1], np.int32), standardize=True) == {}, (
        "checkpoints of before have none"
    )
