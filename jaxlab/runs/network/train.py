"""`train`: an experiment, its data and a run directory, joined; fresh or resumed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import jax
import numpy as np
from rich.console import Console

from jaxlab.core.config import Component, short_hash, to_json
from jaxlab.core.plots import training_curves
from jaxlab.core.types import UserError
from jaxlab.data.images import ImageRows, Images, decode_splits
from jaxlab.data.pipeline import Batches, check_batch_size, epoch_length, prefetch
from jaxlab.data.source import Opened
from jaxlab.data.split import spread
from jaxlab.encode import Loaded, Resident, features
from jaxlab.evaluate.evaluator import Evaluator
from jaxlab.experiment import Experiment
from jaxlab.optim.tuning import notes, summary
from jaxlab.runs.network.begin import Start, begin_run, initial_state
from jaxlab.runs.network.plan import learning_of, plan_of
from jaxlab.runs.network.task import program_of
from jaxlab.training import journal
from jaxlab.training.budget import Budget
from jaxlab.training.checkpoint import Checkpoints, Saved, newest_good, saved
from jaxlab.training.display import TerminalDisplay
from jaxlab.training.loop import Fit, Phase, Plan
from jaxlab.training.progress import Progress
from jaxlab.training.rundir import RunDirectory
from jaxlab.training.session import Session
from jaxlab.training.sharding import Layout
from jaxlab.training.step import Learning, Program, train_step


@dataclass(frozen=True)
class Decoded:
    """One split, ready to batch. ids (n,); images (n, h, w, c), or shared; target (n, t) or label (n,).

    put: brings host batches to the devices where these hold the split's features; `images` (n,) int32 are then rows
    of them. None: batches are put there as they are.
    """

    ids: np.ndarray
    images: ImageRows
    target: np.ndarray | None
    label: np.ndarray | None
    put: Resident | None = None

    @property
    def sent(self) -> tuple[ImageRows, np.ndarray | None, np.ndarray | None]:
        """Images, target and label as far as they are in the host's batches."""
        return (self.images, self.target, self.label) if self.put is None else (self.images, None, None)


def decoded(
    opened: Opened, positions: Sequence[np.ndarray], settings: Images, size: tuple[int, int] | None = None
) -> list[Decoded]:
    """The splits at `positions`, decoded in one go, so that every image at fault is named at once.

    size: what all images must have where `settings` say none.
    """
    samples = opened.train
    return [
        Decoded(
            ids=samples.ids[chosen],
            images=part,
            target=None if samples.target is None else samples.target[chosen],
            label=None if samples.label is None else samples.label[chosen],
        )
        for chosen, part in zip(positions, decode_splits(samples, positions, settings, size), strict=True)
    ]


def positions_of(experiment: Experiment, opened: Opened) -> list[np.ndarray]:
    """Positions of the training and validation samples, of each `limit` at most: evenly spread ones, since data may
    be sorted by class.

    Samples of no class to learn (label -1) are left out of training; in validation they stay, and count as wrong.
    """
    learn, validate = experiment.split.split(opened.train)
    if opened.train.label is not None:
        learn = learn[opened.train.label[learn] >= 0]
    return [spread(chosen, experiment.limit) for chosen in (learn, validate)]


def divided(experiment: Experiment, opened: Opened) -> tuple[list[np.ndarray], int]:
    """`positions_of`, and the steps of an epoch. Raises UserError where either side, or a batch, cannot be filled."""
    positions, batch_size = positions_of(experiment, opened), experiment.training.batch_size
    label = None if opened.train.label is None else opened.train.label[positions[0]]
    epoch = epoch_length(len(positions[0]), label, experiment.balance)
    check_batch_size(batch_size, epoch)
    return positions, epoch // batch_size


def resident(
    encoders: Sequence[Loaded],
    opened: Opened,
    positions: Sequence[np.ndarray],
    limit: int | None,
    layout: Layout,
    console: Console | None = None,
) -> list[Decoded]:
    """The splits at `positions` as rows of features, which lie on the devices with their targets or labels.

    Features are those of all samples, so that other splits find them in the store; with a `limit`, of these alone.
    """
    samples = opened.train
    rows = np.arange(len(samples)) if limit is None else np.unique(np.concatenate(positions))
    truth = [None if values is None else values[rows] for values in (samples.target, samples.label)]
    put = Resident(layout, features(encoders, samples, rows, console), *truth)
    return [
        Decoded(
            ids=samples.ids[chosen],
            images=np.searchsorted(rows, chosen).astype(np.int32),
            target=None if samples.target is None else samples.target[chosen],
            label=None if samples.label is None else samples.label[chosen],
            put=put,
        )
        for chosen in positions
    ]


def train(
    experiment: Experiment,
    run: str | Path,
    *,
    source: str | None = None,
    allow_config_change: bool = False,
    console: Console | None = None,
    budget: Budget | None = None,
    title: str = "",
) -> Path:
    """Train `experiment` in the run directory `run`, or go on where it stopped. Returns the run directory.

    source: text of the config file, copied into the run. budget: the time to end in, with a checkpoint; it is then
    `stopped`. title: said before each epoch.
    Raises UserError for anything wrong with the data, the config or the directory, before a step is compiled;
    KeyboardInterrupt, after a last checkpoint, where SIGINT or SIGTERM came.
    """
    session = Session(console, budget, title)
    tell = session.tell
    rundir = RunDirectory(Path(run))
    training = experiment.training
    layout = Layout(training.parallel, training.batch_size, training.accumulate, experiment.group)
    if training.parallel == "auto" and layout.count < jax.local_device_count():
        tell(
            f"warning: batch_size={training.batch_size} divides over {layout.count} of the "
            f"{jax.local_device_count()} devices; the others stay idle"
        )
    opened = experiment.data.open()
    positions, steps_per_epoch = divided(experiment, opened)
    if opened.train.label is not None:
        _tell_of_unknown_classes(opened, positions[1], tell)
    begin = begin_run(experiment, rundir, opened, steps_per_epoch, layout, allow_config_change, tell)
    new = not rundir.exists() or allow_config_change
    checkpoint = _newest(rundir, tell)
    if not new and _is_done(rundir, plan_of(experiment, begin.task, steps_per_epoch), checkpoint, tell):
        training_curves(journal.read(rundir.metrics), rundir.plot("curves"))
        return rundir.path  # and nothing was decoded
    if begin.encoders:
        learn, validate = resident(
            begin.encoders, opened, positions, experiment.limit, layout, session.console
        )
    else:
        unresized = replace(
            begin.task.images, size=experiment.images.size
        )  # None: nothing is stretched unasked
        learn, validate = decoded(opened, positions, unresized, begin.task.images.size)
    ceiling = opened.ceiling
    del opened  # its targets, gigabytes of a whole brain, are copied into the two splits
    record = partial(rundir.create, to_json(experiment), source, begin.info) if new else None
    interrupted = _fit(
        experiment, rundir, begin, layout, (learn, validate), ceiling, checkpoint, record, session
    )
    training_curves(journal.read(rundir.metrics), rundir.plot("curves"))
    if interrupted:  # said now that all is saved: a script must not go on with a network half trained
        raise KeyboardInterrupt
    return rundir.path


def _tell_of_unknown_classes(opened: Opened, validation: np.ndarray, tell: Callable[[str], None]) -> None:
    unknown = np.asarray(opened.train.label) < 0
    if unknown.any():
        tell(
            f"{unknown.sum()} of {len(unknown)} samples have none of the {len(opened.targets)} classes: they are left "
            f"out of training, and the {unknown[validation].sum()} of {len(validation)} for validation count as wrong"
        )


def default_run(experiment: Component, name: str) -> Path:
    """runs/<name>-<short hash of the config>."""
    return Path("runs") / f"{name}-{short_hash(experiment)}"


def _fit(
    experiment: Experiment,
    rundir: RunDirectory,
    begin: Start,
    layout: Layout,
    data: tuple[Decoded, Decoded],
    ceiling: np.ndarray | None,
    checkpoint: Saved | None,
    record: Callable[[], None] | None,
    session: Session,
) -> bool:
    """Train from `checkpoint`, or from the start, to the plan's end; True where a signal ended it.

    record: writes the config into the run directory, once the checkpoint is seen to fit it.
    """
    learn, validate = data
    training = experiment.training
    batches = Batches(*learn.sent, training.batch_size, experiment.seed, experiment.balance)
    plan = plan_of(experiment, begin.task, batches.steps_per_epoch)
    program = program_of(experiment, begin.task, begin.shapes)
    phases = learning_of(experiment, begin.tuning, begin.shapes, batches.steps_per_epoch)
    tell = session.tell
    if program.dtype != training.dtype:
        tell(f"warning: this device has no {training.dtype}; computing in {program.dtype}")
    state = initial_state(experiment, begin, phases[0].optimizer, learn.target)
    progress = Progress()
    if checkpoint is not None:
        meta = checkpoint.meta()
        tell(f"{rundir.path}: going on from step {meta['step']}")
        state, progress = state.from_arrays(checkpoint.arrays()), Progress(**meta["progress"])
    if record is not None:
        record()
    if _is_done(rundir, plan, checkpoint, tell):
        return False
    first, table = int(state.step), begin.info["finetune"]
    tell(summary(table))
    evaluator = Evaluator(program, layout, training.batch_size, len(begin.task.targets))
    split = (*validate.sent, validate.put)
    shown = TerminalDisplay(session.console, plan.steps, first, training.batch_size, session.title)
    with shown as display:
        loop = Fit(
            plan=plan,
            phases=_compiled(program, phases, notes(table, batches.steps_per_epoch), layout),
            batches=lambda step: prefetch(batches.iterate(step), learn.put or layout.put_batch),
            evaluate=lambda variables: evaluator.evaluate(variables, *split).compute(ceiling),
            no_sums=evaluator.no_sums,
            batch_ids=lambda step: learn.ids[batches[step]["index"]].tolist(),
            journal=journal.Journal(rundir.path, first),
            checkpoints=Checkpoints(rundir.checkpoints, training.keep_every),
            display=display,
            progress=progress,
            budget=session.budget,
        )
        session.budget.took("start", session.began)
        loop.run(layout.put(state))
    display.table()
    return loop.interrupted


def _compiled(
    program: Program, phases: Sequence[Learning], notes: dict[int, str], layout: Layout
) -> list[Phase]:
    """Each phase's step, compiled when it is first called."""
    steps = (partial(train_step, program, learning) for learning in phases)
    compiled = (layout.compile(step, batch_at=1, arguments=2, donate=0) for step in steps)
    return [Phase(p.first, step, notes[p.first]) for p, step in zip(phases, compiled, strict=True)]


def _newest(rundir: RunDirectory, tell: Callable[[str], None]) -> Saved | None:
    """The checkpoint to go on from, if any. Raises UserError where there are some and none is whole."""
    checkpoint = newest_good(rundir.checkpoints, tell)
    if checkpoint is None and (damaged := saved(rundir.checkpoints)):
        raise UserError(
            f"{rundir.checkpoints}: none of the {len(damaged)} checkpoints is whole; remove {rundir.path} to start "
            "afresh"
        )
    return checkpoint


def _is_done(rundir: RunDirectory, plan: Plan, checkpoint: Saved | None, tell: Callable[[str], None]) -> bool:
    """Whether no step is left to make; says so."""
    if checkpoint is None:
        return False
    all_made, stopped = (
        checkpoint.step >= plan.steps,
        plan.gives_up(Progress(**checkpoint.meta()["progress"])),
    )
    if all_made or stopped:
        done = f"all {plan.steps} steps are done" if all_made else f"stopped early at step {checkpoint.step}"
        tell(f"{rundir.path}: {done}")
    return all_made or stopped
