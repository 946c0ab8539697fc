"""The tiny experiment's parts, for tests that want less than a whole run."""

import io
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from rich.console import Console
from tiny_config import experiment as TINY

from jaxlab.core.config import override
from jaxlab.data import Pooled
from jaxlab.data.pipeline import Batches
from jaxlab.experiment import Experiment, Folds, Training
from jaxlab.experiment.recipe import resolve
from jaxlab.experiment.task import Task
from jaxlab.heads import Linear, PerSubject
from jaxlab.models import ShallowCNN
from jaxlab.objectives import resolved
from jaxlab.runs import api
from jaxlab.training import update
from jaxlab.training.sharding import Layout
from jaxlab.training.state import TrainState, Variables
from jaxlab.training.step import Program
from jaxlab.training.update import Learning


def tiny(root: Path, *settings: str, **parts) -> Experiment:
    """The experiment on the arrays at `root`, with parts replaced and then fields overridden."""
    whole = replace(TINY, **parts)
    return override(replace(whole, data=replace(whole.data, root=str(root))), settings)


def trained_run(root: Path, run: Path, *settings: str, **parts) -> Path:
    return train(tiny(root, *settings, **parts), run)


def folded_run(root: Path, run: Path, *settings: str, **parts) -> Path:
    return train(Folds(experiment=tiny(root, *settings, **parts), folds=2), run)


def pooled_run(root: Path, run: Path) -> Path:
    plain = Experiment(
        data=Pooled(root=str(root)),
        model=ShallowCNN(channels=(4,), kernel_sizes=(3,), norm="none"),
        head=PerSubject(head=Linear()),
        training=Training(epochs=1, batch_size=8),
    )
    return train(Folds(experiment=plain, folds=2), run)


def train(experiment, run: Path, **options) -> Path:
    """Without a word."""
    return api.train(experiment, run, console=Console(file=io.StringIO()), **options)


def task_of(experiment: Experiment, targets: tuple[str, ...], images, normalize, **fields) -> Task:
    """The task that data with these targets, or classes, would make; images are uint8."""
    objectives = resolved(experiment.goals, dict.fromkeys(experiment.goals, targets))
    return Task(objectives, images, "uint8", normalize, **fields)


class Parts(NamedTuple):
    """What steps are made of, and the state on the host before the first."""

    program: Program
    phases: list[Learning]
    batches: Batches
    state: TrainState


def parts_of(experiment: Experiment) -> Parts:
    opened = experiment.data.open()
    recipe = resolve(experiment, opened)
    training, layout = experiment.training, experiment.layout
    learn, _ = recipe.input.portions(opened, recipe.training.positions, layout)
    how = (training.batch_size, experiment.seed, experiment.balance, learn.label, learn.batch_of)
    batches = Batches(*learn.sent, *how)
    return Parts(recipe.program, recipe.phases, batches, recipe.initial_state(learn, layout=layout))


def stirred(variables: Variables) -> Variables:
    """The variables with noise on every parameter: a head that begins at zero predicts the same of all images."""
    rng = np.random.default_rng(0)
    params = {
        path: np.asarray(leaf) + 0.2 * rng.standard_normal(leaf.shape, np.float32)
        for path, leaf in variables.params.items()
    }
    return replace(variables, params=params)


_PREPARED: dict[str, tuple[Layout, Batches, TrainState, dict[int, Any]]] = {}


def _prepared(experiment: Experiment) -> tuple[Layout, Batches, TrainState, dict[int, Any]]:
    """What `steps` takes, traced once for the latest few experiments: many a test asks for several counts of steps."""
    key = repr(experiment)
    if key not in _PREPARED:
        layout, (program, phases, batches, state) = experiment.layout, parts_of(experiment)
        compiled = {
            phase.first: update.compiled(
                partial(update.train_step, program, phase), layout, experiment.seed, donate=0
            )
            for phase in phases
        }
        if len(_PREPARED) > 5:
            _PREPARED.pop(next(iter(_PREPARED)))
        _PREPARED[key] = layout, batches, state, compiled
    return _PREPARED[key]


def steps(experiment: Experiment, count: int) -> tuple[TrainState, list[dict[str, float]]]:
    """The state on the host after `count` training steps, and what each step reported."""
    layout, batches, begun, compiled = _prepared(experiment)
    state = layout.put(begun)
    reports = []
    for k in range(count):
        newest = max(first for first in compiled if first <= k)
        state, reported = compiled[newest](state, layout.put_batch(batches[k]))
        reports.append({name: float(np.asarray(value)) for name, value in reported.items()})
    return jax.device_get(state), reports
