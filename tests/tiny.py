"""The tiny experiment's parts, for tests that want less than a whole run."""

import io
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from rich.console import Console
from tiny_config import experiment as TINY

from jaxlab.core.config import override
from jaxlab.data.pipeline import Batches
from jaxlab.experiment import Experiment
from jaxlab.experiment.folds import Folds
from jaxlab.runs import api
from jaxlab.runs.network import train as fit
from jaxlab.runs.network.begin import Start, initial_state
from jaxlab.runs.network.plan import learning_of, tuning_of
from jaxlab.runs.network.task import network_shapes, program_of, task_of
from jaxlab.training.sharding import Layout
from jaxlab.training.state import TrainState, Variables
from jaxlab.training.step import Learning, Program, train_step


def tiny(root: Path, *settings: str, **parts) -> Experiment:
    """The experiment on the arrays at `root`, with parts replaced and then fields overridden."""
    whole = replace(TINY, **parts)
    return override(replace(whole, data=replace(whole.data, root=str(root))), settings)


def trained_run(root: Path, run: Path, *settings: str, **parts) -> Path:
    return fit.train(tiny(root, *settings, **parts), run, console=Console(file=io.StringIO()))


def folded_run(root: Path, run: Path, *settings: str, **parts) -> Path:
    folds = Folds(experiment=tiny(root, *settings, **parts), folds=2)
    return api.train(folds, run, console=Console(file=io.StringIO()))


class Parts(NamedTuple):
    """What steps are made of, and the state on the host before the first."""

    program: Program
    phases: list[Learning]
    batches: Batches
    state: TrainState


def parts_of(experiment: Experiment) -> Parts:
    training, opened = experiment.training, experiment.data.open()
    task = task_of(experiment, opened)
    learn, _ = fit.decoded(opened, experiment.split.split(opened.train), task.images)
    batches = Batches(
        learn.images, learn.target, learn.label, training.batch_size, experiment.seed, experiment.balance
    )
    program, shapes = program_of(experiment, task), network_shapes(experiment, task)
    tuning, _ = tuning_of(experiment, task, shapes, batches.steps_per_epoch)
    phases = learning_of(experiment, tuning, shapes, batches.steps_per_epoch)
    start = Start(task, shapes, tuning, ({}, {}), {})
    return Parts(
        program, phases, batches, initial_state(experiment, start, phases[0].optimizer, learn.target)
    )


def stirred(variables: Variables) -> Variables:
    """The variables with noise on every parameter: a head that begins at zero predicts the same of all images."""
    rng = np.random.default_rng(0)
    params = {
        path: np.asarray(leaf) + 0.2 * rng.standard_normal(leaf.shape, np.float32)
        for path, leaf in variables.params.items()
    }
    return replace(variables, params=params)


def steps(experiment: Experiment, count: int) -> tuple[TrainState, list[dict[str, float]]]:
    """The state on the host after `count` training steps, and what each step reported."""
    training, (program, phases, batches, state) = experiment.training, parts_of(experiment)
    layout = Layout(training.parallel, training.batch_size, training.accumulate, experiment.group)
    compiled = {
        phase.first: layout.compile(partial(train_step, program, phase), batch_at=1, arguments=2, donate=0)
        for phase in phases
    }
    state = layout.put(state)
    reports = []
    for k in range(count):
        newest = max(first for first in compiled if first <= k)
        state, reported = compiled[newest](state, layout.put_batch(batches[k]))
        reports.append({name: float(np.asarray(value)) for name, value in reported.items()})
    return jax.device_get(state), reports
