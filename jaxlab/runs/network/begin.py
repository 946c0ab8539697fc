"""What a run starts from: the task, the weights and the record of a fresh run or of one to go on with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlab.core import tree
from jaxlab.core.config import Component, differences, from_json, identity, load_file
from jaxlab.core.types import UserError
from jaxlab.data.source import Opened, fingerprint
from jaxlab.encode import CachedFeatures, Loaded, load_all
from jaxlab.experiment import Experiment
from jaxlab.metrics import start
from jaxlab.optim import Groups, Tuning
from jaxlab.runs.network.plan import tuning_of
from jaxlab.runs.network.task import (
    Shapes,
    Task,
    further_channels,
    network_builder,
    network_shapes,
    target_constants,
    task_of,
    with_weights,
)
from jaxlab.training import runtime
from jaxlab.training.checkpoint import saved
from jaxlab.training.rundir import RunDirectory, provenance
from jaxlab.training.sharding import Layout
from jaxlab.training.state import TrainState
from jaxlab.training.step import initial_parameters
from jaxlab.weights import load_pretrained, stem_of
from jaxlab.weights.preprocessing import described


@dataclass(frozen=True)
class Start:
    """What a run starts from, known before any image is decoded: what trains, pretrained arrays and run.json.

    encoders: those of cached features.
    """

    task: Task
    shapes: Shapes
    tuning: Tuning
    pretrained: tuple[tree.Flat, tree.Flat]
    info: dict[str, Any]
    encoders: tuple[Loaded, ...] = ()


def begin_run(
    experiment: Experiment,
    rundir: RunDirectory,
    opened: Opened,
    steps_per_epoch: int,
    layout: Layout,
    allow_change: bool,
    tell: Callable[[str], None],
) -> Start:
    """The task and weights of a fresh run or of the one in `rundir`, which must be the same experiment's."""
    encoders = load_all(experiment.data.encoders) if isinstance(experiment.data, CachedFeatures) else ()
    task = task_of(experiment, opened, encoders)
    shapes = network_shapes(experiment, task)
    tuning, table = tuning_of(experiment, task, shapes, steps_per_epoch)
    earlier = rundir.info() if rundir.exists() else None
    pretrained: tuple[tree.Flat, tree.Flat] = ({}, {})
    weights = earlier["weights"] if earlier else None
    source = getattr(experiment.model, "pretrained", None)
    if source is not None and not saved(rundir.checkpoints):
        params, stats = map(_of_backbone, shapes[1:])
        further = further_channels(experiment, task)
        new_params, new_stats, weights = load_pretrained(experiment.model, source, params, stats, further)
        pretrained = (new_params, new_stats)
        if further and f"backbone.{stem_of(experiment.model)}" not in tuning.factor:
            raise UserError(
                f"{further} further channels would do nothing: pretrained weights have none for them, and the rules of "
                "finetune freeze the layer that sees them; let the first layer train"
            )
    task = with_weights(experiment, task, weights)
    if weights is not None:
        tell(f"weights {weights['source']}: {described(task.images, task.normalize)}")
    for encoder in encoders:
        tell(f"encoder {encoder.about}")
    info = {
        "task": task.to_json(),
        "weights": weights,
        "finetune": table,
        "data": {"fingerprint": fingerprint(opened)},
        "devices": {"platform": jax.default_backend(), "used": layout.count, "cores": runtime.cores()},
        **provenance(),
    }
    if earlier is not None:
        check_same(experiment, rundir, info, earlier, allow_change, tell)
    return Start(task, shapes, tuning, pretrained, info, encoders)


def initial_state(
    experiment: Experiment, begin: Start, optimizer: Groups, target: np.ndarray | None
) -> TrainState:
    """The state before the first step."""
    params, stats = initial_parameters(network_builder(experiment, begin.task))
    for flat, loaded in zip((params, stats), begin.pretrained, strict=True):
        flat.update({f"backbone.{path}": jnp.asarray(leaf) for path, leaf in loaded.items()})
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        stats=stats,
        constants=target_constants(target, experiment.training.standardize),
        opt_state=jax.jit(optimizer.init)(params),
        ema=None if experiment.training.ema is None else params,
        rate_scale=jnp.ones(()),
        sums=start(begin.task.kind, len(begin.task.targets)),
    )


def check_same(
    experiment: Component,
    rundir: RunDirectory,
    info: dict,
    earlier: dict,
    allow_change: bool,
    tell: Callable[[str], None],
) -> None:
    """Raises UserError naming each field that differs from the run's, unless changes are allowed; and for a soup."""
    if "soup" in earlier:
        raise UserError(
            f"{rundir.path} is a soup, an average of checkpoints: nothing trains on from it; give another --run"
        )
    made_by, kind = rundir.config()["type"], type(experiment).__name__
    if made_by != kind:
        raise UserError(f"{rundir.path} is the run of {made_by}(...), not of {kind}(...): give another --run")
    kept: Any = from_json(rundir.config())
    changes = differences(identity(kept), identity(experiment))
    before, now = earlier["data"]["fingerprint"], info["data"]["fingerprint"]
    if before != now:
        changes.append(f"the data's fingerprint: {before[:12]} -> {now[:12]}")
    changes += changed_encoders(earlier["task"].get("encoders", []), info["task"]["encoders"])
    if changes and not allow_change:
        raise UserError(
            f"{rundir.path} was made by a different config: {'; '.join(changes)}. Give another --run, or "
            "--allow-config-change to go on with the new one"
        )
    for change in changes:
        tell(f"changed: {change}")
    used = [getattr(getattr(one, "experiment", one), "inference", None) for one in (kept, experiment)]
    if used[0] != used[1] and not allow_change:
        tell(
            f"{rundir.path} keeps the inference of its own config; `jaxlab predict` and `jaxlab evaluate` take another "
            "(--set inference.tta.shift=3)"
        )
    if earlier["devices"] != info["devices"]:
        tell(
            f"warning: this run began on {earlier['devices']}, now {info['devices']}: equal up to rounding only"
        )


def check_unseen(rundir: RunDirectory, experiment: Experiment, data: str) -> None:
    """Raises UserError where the run may have learned what `experiment` validates on.

    data: the fingerprint of the data now. Of other data, and by another split, samples are dealt otherwise.
    """
    then = {"split": identity(recorded(rundir).split), "data": rundir.info()["data"]["fingerprint"][:12]}
    if changes := differences(then, {"split": identity(experiment.split), "data": data[:12]}):
        raise UserError(
            f"{rundir.path} was trained on other data or another split ({'; '.join(changes)}), so that its validation "
            "samples may be among those that it learned"
        )


def changed_encoders(earlier: Sequence[dict[str, Any]], now: Sequence[dict[str, Any]]) -> list[str]:
    """What differs between two records of encoders, wherever their weights lay: `field: old -> new`."""
    before, after = (
        [{**one, "weights": None, "digest": one["digest"][:12]} for one in records]
        for records in (earlier, now)
    )
    return differences(before, after, "encoders")


def recorded(rundir: RunDirectory) -> Any:
    """The config that a run was made by. Raises UserError where it is of another version or not whole."""
    data = rundir.config()
    try:
        return from_json(data)
    except UserError:
        if not (rundir.path / "config.py").is_file():
            raise
        load_file(rundir.path / "config.py")  # defines the components that the config file brought along
        return from_json(data)


def _of_backbone(state: Any) -> tree.Flat:
    flat = tree.flatten(state)
    return {
        path.removeprefix("backbone."): leaf for path, leaf in flat.items() if path.startswith("backbone.")
    }
