"""A network that predicts the same for all, or reads units that never fire, is told of."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from tiny import parts_of, tiny

from jaxlab.evaluate.evaluator import Evaluator
from jaxlab.losses import CrossEntropy
from jaxlab.metrics import ClassificationSums, RegressionSums
from jaxlab.objectives import Objective, resolved
from jaxlab.runs.network.watch import Watch
from jaxlab.training.notices import Notices
from jaxlab.training.sharding import Layout

CLASSES = ("fist", "palm", "peace")


def sums(choices: list[int], labels: list[int]) -> ClassificationSums:
    logits = jnp.asarray(np.eye(3)[choices], jnp.float32)
    return ClassificationSums.start(3).add(logits, jnp.asarray(labels), jnp.zeros(len(labels)))


def watching(objectives):
    """What it tells and keeps is in the two lists."""
    told, kept = [], []
    return Watch(objectives, Notices(told.append, kept.append), lambda: (40, 2)), told, kept


def test_it_is_said_as_it_begins_and_as_it_begins_again():
    objectives = resolved({"label": Objective(loss=CrossEntropy())}, {"label": CLASSES})
    watch, told, kept = watching(objectives)
    epochs = ([1, 1, 1], [0, 1, 2]), ([2, 2, 2], [0, 1, 2]), ([0, 1, 2], [0, 1, 2]), ([2, 2, 2], [0, 1, -1])
    for choices, labels in epochs:
        found = {"label": sums(choices, labels)}
        assert watch.predictions(found) is found
    assert [line.partition(". Where")[0] for line in told] == [
        f"warning: all validation samples are predicted to be {name!r}" for name in ("palm", "peace")
    ]
    assert [(one.kind, one.about, one.step, one.epoch) for one in kept] == [("collapsed", "label", 40, 2)] * 3


def test_where_there_is_one_class_its_prediction_is_no_fault():
    objectives = {
        "activity": Objective(),
        "object": Objective(loss=CrossEntropy(), of="category"),
    }
    both = resolved(objectives, {"activity": ("n0",), "object": CLASSES})
    activity = both[0].start()
    watch, told, _ = watching(both)
    watch.predictions({"activity": activity, "object": sums([1, 1, 1], [1, 1, 1])})
    assert not told
    watch.predictions({"activity": activity, "object": sums([1, 1, 1], [1, 0, 1])})
    assert told[0].startswith("warning: object: all validation samples are predicted to be 'palm'")


@pytest.mark.parametrize(
    ("spread", "noise", "truths", "says"),
    [
        (0.0, 0.0, 1.0, "their standard deviation is 0 of the truth's"),
        (0.0, 0.004, 1.0, "their standard deviation is 0.004 of the truth's"),
        (0.0, 0.1, 1.0, None),
        (0.004, 0.004, 1.0, None),
        (0.0, 0.0, 0.0, None),
    ],
    ids=["constant", "noise alone", "wide noise", "narrow, and it says something", "constant truth"],
)
def test_predictions_of_numbers_that_hardly_differ_are_told_of(spread, noise, truths, says):
    rng = np.random.default_rng(0)
    own = rng.normal(size=(400, 6))
    other = rng.normal(size=(400, 6))
    other -= own * (own * other).sum(0) / (own * own).sum(0)
    truth = 1e3 + 50 * truths * own
    predicted = 1e3 + 50 * (spread * own + noise * other)
    arrays = (jnp.asarray(side, jnp.float32) for side in (predicted, truth))
    found = RegressionSums.start(6).add(*arrays, jnp.zeros(400))
    watch, told, _ = watching(resolved({"activity": Objective()}, {"activity": tuple("abcdef")}))
    watch.predictions({"activity": found})
    assert bool(told) == (says is not None)
    assert says is None or says in told[0]


def test_units_that_never_fire_are_told_of_by_layer():
    watch, told, kept = watching(())
    dead = {"a": np.arange(8) < 3, "b": np.arange(8) < 2}
    watch.units(dead, 99)
    assert not told, "of so few samples nothing is known"
    watch.units(dead, 100)
    assert "3 of the 8 features that the readout reads of a have one value in all 100" in told[0]
    assert [(one.kind, one.about, one.value) for one in kept] == [("units", "a", 3 / 8)]


@pytest.fixture(scope="module")
def parts(arrays_npz):
    return parts_of(tiny(arrays_npz))


@pytest.mark.parametrize("parallel", ["pmap", pytest.param("data", marks=pytest.mark.exhaustive), "single"])
def test_an_evaluation_finds_the_channels_of_one_value_on_any_number_of_devices(arrays_npz, parts, parallel):
    """The last norm is given a scale and bias with which two channels are the same whatever the image, and the others
    are not; on four devices the second batch's only image lies on one.
    """
    norm = "backbone.levels.1.norm"
    params = parts.state.variables.params | {
        f"{norm}.scale": np.float32([1, 0, 1, 1, 0, 1]),
        f"{norm}.bias": np.float32([0, -1, 0, 0, 0.7, 0]),
    }
    variables = replace(parts.state.variables, params=params)
    images = np.load(arrays_npz)["images"][:9]
    truth = {"activity": np.load(arrays_npz)["targets"][:9]}
    evaluator = Evaluator(parts.program, Layout(parallel, 8), 8)
    assert evaluator.constant() == {}, "nothing was evaluated"
    evaluator.evaluate(variables, images, truth)
    (layer,) = evaluator.constant()
    assert layer == "level2"
    assert evaluator.constant()[layer].tolist() == [False, True, False, False, True, False]
