"""A network that predicts one class for all is told of."""

import jax.numpy as jnp
import numpy as np

from jaxlab.losses import CrossEntropy
from jaxlab.metrics import ClassificationSums
from jaxlab.objectives import Objective, resolved
from jaxlab.runs.network.watch import Watch

CLASSES = ("fist", "palm", "peace")


def sums(choices: list[int], labels: list[int]) -> ClassificationSums:
    logits = jnp.asarray(np.eye(3)[choices], jnp.float32)
    return ClassificationSums.start(3).add(logits, jnp.asarray(labels), jnp.zeros(len(labels)))


def test_it_is_said_as_it_begins_and_as_it_begins_again():
    objectives = resolved({"label": Objective(loss=CrossEntropy())}, {"label": CLASSES})
    told: list[str] = []
    watch = Watch(objectives, told.append)
    epochs = ([1, 1, 1], [0, 1, 2]), ([2, 2, 2], [0, 1, 2]), ([0, 1, 2], [0, 1, 2]), ([2, 2, 2], [0, 1, -1])
    for choices, labels in epochs:
        found = {"label": sums(choices, labels)}
        assert watch(found) is found
    assert [line.partition(". Where")[0] for line in told] == [
        f"warning: all validation samples are predicted to be {name!r}" for name in ("palm", "peace")
    ]


def test_where_there_is_one_class_its_prediction_is_no_fault():
    told: list[str] = []
    objectives = {
        "activity": Objective(),
        "object": Objective(loss=CrossEntropy(), of="category"),
    }
    both = resolved(objectives, {"activity": ("n0",), "object": CLASSES})
    activity = both[0].start()
    watch = Watch(both, told.append)
    watch({"activity": activity, "object": sums([1, 1], [1, 1])})
    assert not told
    watch({"activity": activity, "object": sums([1, 1], [1, 0])})
    assert told[0].startswith("warning: object: all validation samples are predicted to be 'palm'")
