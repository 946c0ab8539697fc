"""The network of an experiment: how it is made, and its shapes."""

from collections.abc import Callable
from typing import Any

from flax import nnx

from jaxlab.core.rng import initial_rngs
from jaxlab.experiment.experiment import Experiment
from jaxlab.experiment.inputs import Input
from jaxlab.experiment.task import Task
from jaxlab.heads import Joint, build_network

NetworkShapes = tuple[nnx.GraphDef, nnx.State, nnx.State]  # parameters and batch statistics, of shapes only


def shapes_of(build: Callable[[], nnx.Module]) -> NetworkShapes:
    shapes: Any = nnx.split(nnx.eval_shape(build), nnx.Param, nnx.BatchStat)
    return shapes


def builder(experiment: Experiment, task: Task, seen: Input) -> Callable[[], nnx.Module]:
    """A function that makes the network; call it under jit or eval_shape."""
    shape = seen.shape
    heads = {one.name: one.head for one in task.objectives}
    weights = {one.name: one.largest_weight for one in task.objectives}
    learned = {one.name: one.first_log_variance for one in task.objectives if one.learned}
    several = len(heads) > 1
    head = Joint(heads, weights, learned) if several else task.primary.head
    targets: Any = task.targets if several else task.primary.targets

    model = task.completed(experiment.model)

    def build() -> nnx.Module:
        return build_network(model, head, shape, targets, initial_rngs(experiment.seed))

    return build
