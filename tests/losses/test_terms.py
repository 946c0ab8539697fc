"""What a loss adds up, as records have it: against the formulas in numpy."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
import pytest

from jaxlab.losses import END, About, CrossEntropy, Focal, Mse, Ramp, SmoothL1, Spread, WeightedSum
from jaxlab.objectives import Objective, resolved
from jaxlab.training.step import Program

FADING = WeightedSum(losses=(Mse(), Spread()), weights=(1.0, Ramp(start=1.0, end=0.25, epochs=4)))
NESTED = WeightedSum(losses=(FADING, SmoothL1(beta=0.5), SmoothL1(beta=2.0)), weights=(0.5, 1.0, 1.0))


def program_of(**objectives):
    targets = {
        name: ("a", "b", "c") if one.loss.kind == "classification" else ("x", "y")
        for name, one in objectives.items()
    }
    return Program(shapes=None, objectives=resolved(objectives, targets), prepare=None)


def scores_of(program, outputs, truth, mask):
    """Of two batches, as evaluation adds them up."""
    constants = {}
    for one in program.objectives:
        constants |= one.constants(truth[one.name], standardize=False)
    sums = program.start()
    for rows in (slice(0, 6), slice(6, 12)):
        batch = {
            "truth": {name: jnp.asarray(values[rows]) for name, values in truth.items()},
            "mask": mask[rows],
        }
        losses = program.losses(jnp.asarray(outputs[rows]), batch, constants, None)
        sums = program.add(sums, jnp.asarray(outputs[rows]), losses, batch, constants, None)
    return program.scores(sums)


def test_names_are_those_of_types_numbered_where_two_are_alike():
    assert FADING.terms == ("mse", "spread")
    assert NESTED.terms == (
        "weighted_sum", "weighted_sum.mse", "weighted_sum.spread", "smooth_l1", "smooth_l1_2",
    )  # fmt: skip
    assert Mse().terms == CrossEntropy().terms == ()


def test_scores_have_each_term_without_its_weight():
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(12, 2)).astype(np.float32)
    truth = rng.normal(1, 2, (12, 2)).astype(np.float32)
    mask = np.arange(12) != 11
    found = scores_of(program_of(activity=Objective(loss=NESTED)), outputs, {"activity": truth}, mask)
    x, y, away = outputs[mask], truth[mask], np.abs(outputs - truth)[mask].astype(float)

    def spread(rows):
        return np.square(np.sqrt(x[rows].var(0) + 1e-4) - np.sqrt(y[rows].var(0) + 1e-4)).mean()

    def smooth(beta):
        return np.where(away < beta, away**2 / (2 * beta), away - beta / 2).mean()

    expected = {
        "weighted_sum.mse": np.square(away).mean(),
        "weighted_sum.spread": (6 * spread(slice(0, 6)) + 5 * spread(slice(6, 12))) / 11,
        "smooth_l1": smooth(0.5),
        "smooth_l1_2": smooth(2.0),
    }
    expected["weighted_sum"] = expected["weighted_sum.mse"] + 0.25 * expected["weighted_sum.spread"]
    assert {name: found[f"loss/{name}"] for name in NESTED.terms} == pytest.approx(expected, rel=1e-5)
    whole = 0.5 * expected["weighted_sum"] + expected["smooth_l1"] + expected["smooth_l1_2"]
    assert found["loss"] == pytest.approx(whole, rel=1e-5)


def test_of_several_objectives_each_has_its_own():
    sharp = WeightedSum(losses=(CrossEntropy(), Focal()), weights=(Ramp(), 1.0))
    program = program_of(activity=Objective(loss=FADING), object=Objective(loss=sharp))
    rng = np.random.default_rng(1)
    outputs = rng.normal(size=(12, 5)).astype(np.float32)
    truth = {"activity": outputs[:, :2] + 1, "object": np.arange(12, dtype=np.int32) % 3}
    found = scores_of(program, outputs, truth, np.ones(12, bool))
    assert {name for name in found if "loss/" in name} == {
        "activity/loss/mse", "activity/loss/spread", "object/loss/cross_entropy", "object/loss/focal",
    }  # fmt: skip
    assert found["activity/loss/mse"] == pytest.approx(1)
    logits = outputs[:, 2:].astype(float)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    entropy = -np.log(p[np.arange(12), truth["object"]]).mean()
    assert found["object/loss/cross_entropy"] == pytest.approx(entropy, rel=1e-5)


def test_weights_that_change_are_told_beside_them():
    epoch = jnp.float32(3)
    weight = np.interp(3, [0, 4], [1, 0.25])
    assert program_of(activity=Objective(loss=FADING)).changing_weights({}, epoch) == {
        "loss/spread/weight": pytest.approx(weight)
    }
    both = program_of(a=Objective(loss=NESTED), b=Objective(weight=Ramp(start=1.0, end=0.25, epochs=4)))
    assert {name: float(value) for name, value in both.changing_weights({}, epoch).items()} == pytest.approx(
        {"a/loss/weighted_sum.spread/weight": weight, "b/weight": weight}
    )
    assert float(FADING.changing(END)["spread"]) == 0.25


@dataclass(frozen=True, kw_only=True)
class OfTwice(WeightedSum):
    """A user's own, which is no longer the sum of its parts."""

    def rows(self, outputs, truth, about):
        return super().rows(outputs, truth, about) / 2


def test_a_sum_that_somebody_rewrites_is_taken_as_they_wrote_it():
    loss, about = OfTwice(losses=(Mse(), Mse())), About(lambda values: values.sum(0))
    outputs, truth = jnp.ones((3, 2)), jnp.zeros((3, 2))
    rows, terms = loss.told(outputs, truth, about)
    assert rows.tolist() == [1, 1, 1]
    assert (terms, loss.terms, loss.changing(0.0)) == ({}, (), {})
