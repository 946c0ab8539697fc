"""Weights of several objectives: on a ramp, and learned as Kendall et al. 2018 have it, by hand."""

import math
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from test_objectives import ACTIVITY, DATA, OBJECT, experiment
from tiny import steps

from jaxlab.core import tree
from jaxlab.core.config import override, short_hash, to_json
from jaxlab.core.types import UserError
from jaxlab.experiment import Experiment, Objective
from jaxlab.experiment.recipe import resolve
from jaxlab.losses import END, Poisson, Ramp
from jaxlab.optim import SGD
from jaxlab.report.terminal import _objective


def test_fixed_weights_are_what_they_were():
    assert "learned" not in to_json(OBJECT)
    program = resolve(experiment(), DATA.open()).program
    assert program.weights({}, 3.0) == {"activity": 1.0, "object": 0.3}
    assert program.changing_weights({}, 3.0) == {}
    assert not [path for path in _paths(program) if "log_variance" in path]


def _paths(program):
    return tree.flatten(program.shapes[1])


def test_a_ramp_is_followed_in_training_and_at_its_end_in_validation():
    fading = replace(OBJECT, weight=Ramp(start=1.0, end=0.25, epochs=4))
    program = resolve(experiment(objectives={"activity": ACTIVITY, "object": fading}), DATA.open()).program
    epochs = jnp.asarray([0.0, 1.0, 3.5, 9.0])
    found = [float(program.weights({}, epoch)["object"]) for epoch in epochs]
    np.testing.assert_allclose(found, np.interp(epochs, [0, 4], [1.0, 0.25]), rtol=1e-6)
    assert program.changing_weights({}, jnp.float32(2.0)).keys() == {"object/weight"}
    assert float(program.weights({}, END)["object"]) == 0.25


def test_learned_weights_start_from_those_given():
    learned = {"activity": replace(ACTIVITY, learned=True), "object": replace(OBJECT, learned=True)}
    activity, label = resolve(experiment(objectives=learned), DATA.open()).task.objectives
    assert activity.first_log_variance == pytest.approx(math.log(1 / 2))
    assert label.first_log_variance == pytest.approx(-math.log(0.3))
    assert float(label.weight_at(0.0, jnp.asarray(label.first_log_variance))) == pytest.approx(0.3)


@pytest.mark.slow
def test_a_step_is_by_hand_and_decay_leaves_it_alone():
    """L = exp(-s) / 2 L1 + s / 2 + exp(-u) L2 + u / 2: dL/ds = 1/2 - w L, on four devices and two micro-batches."""
    learned = {"activity": replace(ACTIVITY, learned=True), "object": replace(OBJECT, learned=True)}
    optimizer = SGD(lr=0.1, momentum=0.0, weight_decay=0.5, l2=0.5)
    one = override(
        experiment(objectives=learned, optimizer=optimizer),
        ["training.parallel=pmap", "training.accumulate=2"],
    )
    state, (first, second) = steps(one, 2)
    s = {"activity": math.log(0.5 / 1.0), "object": math.log(1.0 / 0.3)}
    for reported in (first, second):
        weights = {"activity": math.exp(-s["activity"]) / 2, "object": math.exp(-s["object"])}
        for name, weight in weights.items():
            assert reported[f"{name}/weight"] == pytest.approx(weight, rel=1e-5)
            s[name] -= 0.1 * (0.5 - weight * reported[f"{name}/loss"])
        assert reported["loss"] == pytest.approx(
            sum(weights[k] * reported[f"{k}/loss"] for k in weights), rel=1e-5
        )
    for name, value in s.items():
        assert float(state.params[f"head.log_variance.{name}"]) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Objective(weight=-1.0), r"Objective\.weight: expected more than 0, found -1\.0"),
        (lambda: Objective(weight=math.inf), "expected more than 0, found inf"),
        (lambda: Objective(weight=Ramp(), learned=True), r"or weight=Ramp\(\.\.\.\), found both"),
        (
            lambda: Objective(loss=Poisson(), learned=True),
            "Poisson falls below 0, where a learned weight grows without end",
        ),
        (
            lambda: Experiment(objectives={"activity": Objective(learned=True)}),
            r"Experiment\.objectives: expected several where a weight is learned, found one",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, words):
    with pytest.raises(UserError, match=words):
        make()


def test_inspect_says_what_a_weight_is():
    ramp = replace(OBJECT, weight=Ramp(start=1.0, end=0.25, epochs=4))
    assert _objective(to_json(OBJECT)) == "Linear, CrossEntropy of category, weight 0.3"
    assert _objective(to_json(ramp)).endswith("weight 1 to 0.25 in 4 epochs")
    assert _objective(to_json(replace(OBJECT, learned=True))).endswith("weight 0.3, learned from there")


def test_names_of_runs_stay():
    same = replace(experiment(), objectives={"activity": ACTIVITY, "object": replace(OBJECT, learned=False)})
    assert short_hash(same) == short_hash(experiment())
