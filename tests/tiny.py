"""The tiny experiment's parts, for tests that want less than a whole run."""

import io
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import numpy as np
from rich.console import Console
from tiny_config import experiment as TINY

from jaxlab import fit
from jaxlab.config import override
from jaxlab.data.pipeline import Batches
from jaxlab.experiment import Experiment, program_of, task_of
from jaxlab.training.sharding import Layout
from jaxlab.training.state import TrainState
from jaxlab.training.step import train_step


def tiny(root: Path, *settings: str, **parts) -> Experiment:
    """The experiment on the arrays at `root`, with parts replaced and then fields overridden."""
    whole = replace(TINY, **parts)
    return override(replace(whole, data=replace(whole.data, root=str(root))), settings)


def trained_run(root: Path, run: Path, *settings: str, **parts) -> Path:
    return fit.train(tiny(root, *settings, **parts), run, console=Console(file=io.StringIO()))


def steps(experiment: Experiment, count: int) -> tuple[TrainState, list[dict[str, float]]]:
    """The state on the host after `count` training steps, and what each step reported."""
    training, opened = experiment.training, experiment.data.open()
    task = task_of(experiment, opened)
    learn, _ = fit.decoded(opened, experiment.split.split(opened.train), experiment)
    batches = Batches(learn.images, learn.target, learn.label, training.batch_size, experiment.seed)
    program = program_of(experiment, task, batches.steps_per_epoch)
    layout = Layout(training.parallel, training.batch_size, training.accumulate)
    step = layout.compile(partial(train_step, program), batch_at=1, arguments=2, donate=0)
    state = layout.put(fit._fresh(experiment, fit.Start(task, ({}, {}), {}), program, learn.target))
    reports = []
    for k in range(count):
        state, reported = step(state, layout.put_batch(batches[k]))
        reports.append({name: float(np.asarray(value)) for name, value in reported.items()})
    return jax.device_get(state), reports
