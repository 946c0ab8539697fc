"""What the step owes to heads: targets encoded for the loss, predictions decoded, penalties counted once."""

import math
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import parts_of, steps, tiny

from jaxlab.core.types import EVALUATION
from jaxlab.heads import Linear
from jaxlab.heads.linear import LinearPart
from jaxlab.optim import SGD
from jaxlab.training.step import prediction_step

LR = 1e-3


class Pulled(LinearPart):
    """Its penalty's gradient is -1 in each weight where the kernel is zero, as it is at first."""

    def penalty(self):
        return 0.5 * jnp.square(self.kernel[...] - 1).sum()


@dataclass(frozen=True, kw_only=True)
class Penalised(Linear):
    def part(self, shape, targets, rngs):
        return Pulled(math.prod(shape), targets)


@dataclass(frozen=True, kw_only=True)
class Doubled(Linear):
    def encode(self, z):
        return 2 * z

    def decode(self, outputs):
        return outputs / 2


@pytest.fixture(scope="module")
def first(arrays_npz):
    """(head, settings) -> the state and the report of one step of plain gradient descent."""

    def step(head, *settings):
        optimizer = SGD(lr=LR, momentum=0.0)
        state, reports = steps(tiny(arrays_npz, *settings, head=head, optimizer=optimizer), 1)
        return state, reports[0]

    return step


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [("single", 1), ("pmap", 2), ("data", 1)],
    ids=lambda setting: f"{setting[0]}, accumulate {setting[1]}",
)
def test_a_penalty_counts_once_and_is_no_part_of_the_loss_reported(first, settings):
    settings = (f"training.parallel={settings[0]}", f"training.accumulate={settings[1]}")
    (plain, without), (state, report) = (
        first(kind(layer="level2"), *settings) for kind in (Linear, Penalised)
    )
    name = "head.layers.level2.kernel"
    np.testing.assert_allclose(state.params[name] - plain.params[name], LR, rtol=1e-4)
    assert report["loss"] == without["loss"]
    assert report["gradient_norm"] > without["gradient_norm"]
    assert state.sums["activity"].compute()["loss"] == plain.sums["activity"].compute()["loss"]


@pytest.mark.slow
def test_the_loss_is_of_encoded_targets_and_predictions_are_decoded(arrays_npz, first):
    """Outputs are zero at first, so that twice the targets make four times the squared error."""
    single = "training.parallel=single"
    (plain, without), (state, report) = (first(kind(layer="level2"), single) for kind in (Linear, Doubled))
    assert report["loss"] == pytest.approx(4 * without["loss"], rel=1e-6)
    scores, plainly = state.sums["activity"].compute(), plain.sums["activity"].compute()
    assert scores["loss"] == pytest.approx(4 * plainly["loss"], rel=1e-6)
    assert scores["mse"] == pytest.approx(plainly["mse"], rel=1e-6)  # in the targets' own units
    program, _, batches, _ = parts_of(tiny(arrays_npz, single, head=Doubled(layer="level2")))
    batch, variables = batches[0], state.variables
    forward = jax.jit(lambda images: program.apply(variables, program.prepare(images, None), EVALUATION))
    outputs = np.asarray(forward(batch["image"]).outputs)
    constants = state.constants
    expected = outputs / 2 * constants["target_scale"][None] + constants["target_mean"][None]
    found = jax.jit(partial(prediction_step, program))(variables, batch)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert np.abs(outputs).max() > 1e-3
