"""How an experiment trains: which parameters when, in which phases, and what the loop does besides."""

from typing import Any

from jaxlab.core import tree
from jaxlab.experiment import Experiment
from jaxlab.models.order import order
from jaxlab.optim import Groups, Plateau, Tuning, undecayed
from jaxlab.runs.network.task import Shapes, Task, input_shape
from jaxlab.training.loop import Plan
from jaxlab.training.step import Learning


def tuning_of(
    experiment: Experiment, task: Task, shapes: Shapes, steps_per_epoch: int
) -> tuple[Tuning, list[dict[str, Any]]]:
    """What trains, from when and at which rate; and the record of it, by layer, that a run keeps.

    Raises UserError for rules that do not fit the network or the run's length.
    """
    layers, layer_of, unread = order(shapes, input_shape(experiment, task))
    epochs = experiment.training.total_steps(steps_per_epoch) / steps_per_epoch
    tuning = experiment.finetune.resolve(layers, layer_of, unread, epochs)
    params, stats = tree.flatten(shapes[1]), tree.flatten(shapes[2])
    sizes = {path: leaf.shape for path, leaf in params.items()}
    return tuning, tuning.table(layers, layer_of, unread, sizes, stats, experiment.optimizer.lr)


def learning_of(
    experiment: Experiment, tuning: Tuning, shapes: Shapes, steps_per_epoch: int
) -> list[Learning]:
    """How the steps of each phase change the parameters: more of them train from one to the next."""
    training, optimizer = experiment.training, experiment.optimizer
    rate = optimizer.schedule.build(optimizer.lr, steps_per_epoch, training.total_steps(steps_per_epoch))
    params, stats = tree.flatten(shapes[1]), tree.flatten(shapes[2])
    starts = tuning.starts(steps_per_epoch)
    groups = Groups(optimizer, tuple(starts.values()), undecayed(experiment))
    trains: tuple[str, ...] = ()
    phases = []
    for first, group in starts.items():
        trains = (*trains, *group)
        phases.append(
            Learning(
                first=first,
                trains=trains,
                held=tuning.held(trains, params, stats),
                optimizer=groups,
                rate=rate,
                seed=experiment.seed,
                accumulate=training.accumulate,
                ema_decay=training.ema,
            )
        )
    return phases


def plan_of(experiment: Experiment, task: Task, steps_per_epoch: int) -> Plan:
    """What the loop does when."""
    training, schedule = experiment.training, experiment.optimizer.schedule
    return Plan(
        steps=training.total_steps(steps_per_epoch),
        steps_per_epoch=steps_per_epoch,
        metric=metric_of(experiment, task),
        patience=training.early_stopping,
        plateau=(schedule.factor, schedule.patience) if isinstance(schedule, Plateau) else None,
        checkpoint_steps=training.checkpoint_steps,
    )


def metric_of(experiment: Experiment, task: Task) -> str:
    """The validation score that tells which of several checkpoints is best."""
    return experiment.training.metric or ("pearson" if task.kind == "regression" else "accuracy")
