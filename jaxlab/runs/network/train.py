"""Training a network, on one page: resolve, begin or resume, loop."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxlab.core.plots import training_curves
from jaxlab.core.remote.paths import sending
from jaxlab.core.types import Interrupted
from jaxlab.core.visible import from_here
from jaxlab.data.pipeline import ALL, Batches, prefetch
from jaxlab.data.source import Opened
from jaxlab.encode.joint import say_of_cache
from jaxlab.evaluate.evaluator import Evaluator
from jaxlab.experiment import Experiment
from jaxlab.experiment.inputs import Portion
from jaxlab.experiment.recipe import Recipe, resolve
from jaxlab.objectives import Classification
from jaxlab.optim.tuning import notes, summary
from jaxlab.runs.checks import log_data
from jaxlab.runs.levels import levels_for, recorded_encoders
from jaxlab.runs.network.begin import Start, began_with, begin
from jaxlab.runs.network.earlier import as_trained
from jaxlab.runs.network.pictures import keep_pictures
from jaxlab.runs.network.watch import Watch
from jaxlab.runs.registry.place import outermost
from jaxlab.runs.registry.reports import Reports
from jaxlab.training import journal
from jaxlab.training.agreement import agreement
from jaxlab.training.checkpoint import Checkpoints
from jaxlab.training.comparison import compared_gradients, shared
from jaxlab.training.display import LEGEND, Session, TerminalDisplay
from jaxlab.training.hosts import Agreement, Unwritten
from jaxlab.training.loop import Fit, Phase
from jaxlab.training.monitor import Monitor
from jaxlab.training.notices import Notices
from jaxlab.training.profiling.recorder import Recorder
from jaxlab.training.rundir import RunDirectory
from jaxlab.training.sharding import Layout, Parallel
from jaxlab.training.state import TrainState, Variables
from jaxlab.training.update import Learning, compiled, train_step

Comparison = Callable[[TrainState, Any], dict[str, float]]


def train(
    experiment: Experiment,
    rundir: RunDirectory,
    *,
    source: str | None = None,
    allow_config_change: bool = False,
    session: Session | None = None,
) -> Path:
    """Train `experiment` in the run directory, or go on where it stopped. Returns its path.

    source: text of the config file, copied into the run. session: where it is told of, and its time; the budget is
    `stopped` where that was too little.
    Raises UserError for anything wrong with the data, the config or the directory, before a step is compiled;
    Interrupted, after a last checkpoint, where SIGINT, SIGTERM or SIGHUP came.
    """
    session = session or Session()
    experiment = as_trained(experiment, rundir)
    layout = _layout(experiment, began_with(rundir), session)
    opened = experiment.data.open()
    recipe = resolve(
        experiment, opened, levels_for(experiment, rundir, opened, session), recorded_encoders(rundir)
    )
    log_data(opened, recipe.task.primary, session)
    _log_unknown_classes(recipe, opened, session)
    start = begin(recipe, rundir, opened, layout, allow_config_change, session)
    recipe = start.recipe
    start.check_alike(session.hosts)
    interrupted = False
    goes_on = start.new or not start.is_done(session)
    if goes_on:
        if recipe.task.encoders:
            say_of_cache(session.hosts, session.log)
        portions = recipe.input.portions(opened, recipe.training.positions, layout, session.console)
        ceiling = opened.ceiling
        del opened  # its targets, gigabytes of a whole brain, are copied into the portions
        interrupted = _fit(start, portions, ceiling, layout, source, session)
    if session.hosts.writes:
        training_curves(journal.read(rundir.metrics), rundir.plot("curves"))
    if experiment.pretext is not None and not interrupted and session.hosts.writes:
        keep_pictures(rundir, experiment, anew=goes_on)
    if interrupted:  # said now that all is saved: a script must not go on with a network half trained
        raise Interrupted
    return rundir.path


def examine(experiment: Experiment, opened: Opened) -> str:
    """The data's fingerprint. Raises UserError where parts of the experiment do not go together, or not with them."""
    resolve(experiment, opened)
    return experiment.fingerprint(opened)


def _fit(
    start: Start,
    portions: Sequence[Portion],
    ceiling: np.ndarray | None,
    layout: Layout,
    source: str | None,
    session: Session,
) -> bool:
    """Train to the plan's end; True where a signal ended it. portions: to learn from, and to validate on."""
    recipe, training = start.recipe, start.recipe.experiment.training
    learn, validate = portions
    state, progress = start.state(learn, layout, session)
    recipe.check_rows(state.variables)
    session.hosts.meet("the first step")  # the run directory is as it was for all
    if start.new:  # now that the checkpoint is seen to fit the config
        if session.hosts.writes:
            start.keep(source)
        if start.is_done(session):
            return False
    program, table, steps_per_epoch = recipe.program, start.info["finetune"], recipe.training.steps_per_epoch
    if program.dtype != training.dtype:
        session.log(f"warning: this device has no {training.dtype}; computing in {program.dtype}")
    session.log(summary(table))
    batches = _batches(recipe, learn, layout.rows(training.batch_size))
    evaluator = Evaluator(program, layout, training.batch_size)
    first, plan = int(state.step), recipe.plan
    session.once(LEGEND)
    shown = TerminalDisplay(session.console, plan.steps, first, training.batch_size, session.title)
    if plan.elsewhere:
        session.log(
            from_here(
                "validation is left to others, and checkpoints stay until then: jaxlab evaluate --pending "
                f"{outermost(start.rundir.path).parent} --watch"
            )
        )
    with shown as display, Reports(start.rundir.path, session.once) as reports:
        kept = journal.Journal(start.rundir.path, first) if session.hosts.writes else Unwritten()
        monitor = Monitor(Notices(display.note, kept.notice))
        watch = Watch(recipe.task.objectives, monitor.notices, lambda: monitor.place)

        def validated(variables: Variables) -> dict[str, float]:
            sums = watch.predictions(evaluator.evaluate(variables, *validate.sent, validate.put))
            watch.units(evaluator.constant(), len(validate.sent[0]))
            return program.scores(sums, ceiling)

        loop = Fit(
            plan=plan,
            phases=_compiled(recipe, layout, notes(table, steps_per_epoch), evaluator, learn),
            batches=lambda step: prefetch(batches.iterate(step), learn.put or layout.put_batch),
            scores=program.scores,
            evaluate=validated,
            no_sums=evaluator.no_sums,
            batch_ids=lambda step: learn.ids[_batches(recipe, learn)[step]["index"]].tolist(),
            journal=kept,
            checkpoints=Checkpoints(start.rundir.checkpoints, training.keep_every, session.log)
            if session.hosts.writes
            else Unwritten(),
            display=display,
            progress=progress,
            budget=session.budget,
            told=sending(reports, start.rundir.path),
            judge=session.judge,
            monitor=monitor,
            recorder=Recorder(start.rundir.profile, session.to_profile(), plan, display.note),
            agree=Agreement(session.hosts),
        )
        session.budget.took("start", session.began)
        loop.run(layout.put(state))
    display.table()
    return loop.interrupted


def _layout(experiment: Experiment, several: Parallel, session: Session) -> Layout:
    """How batches lie on the devices; a warning where some stay idle. several: what "auto" takes."""
    training = experiment.training
    layout = experiment.layout_with(several)
    if training.parallel == "auto" and layout.count < jax.device_count():
        session.log(
            f"warning: batch_size={training.batch_size} divides over {layout.count} of the "
            f"{jax.device_count()} devices; the others stay idle"
        )
    return layout


def _log_unknown_classes(recipe: Recipe, opened: Opened, session: Session) -> None:
    experiment, label = recipe.experiment, opened.train.label
    of_classes = [one for one in recipe.task.objectives if one.of == Classification.usual_truth]
    if label is None or not (of_classes or experiment.leaves_out_unknown):
        return
    validation = recipe.training.positions[1]
    unknown = np.asarray(label) < 0
    if unknown.any():
        taught = (
            "left out of training"
            if experiment.leaves_out_unknown
            else "learned from by other objectives alone"
        )
        wrong = f", and the {unknown[validation].sum()} of {len(validation)} for validation count as wrong"
        session.log(
            f"{unknown.sum()} of {len(unknown)} samples have none of the {len(opened.class_names)} classes: they are "
            f"{taught}{wrong if of_classes else ''}"
        )


def _batches(recipe: Recipe, learn: Portion, rows: slice = ALL) -> Batches:
    experiment = recipe.experiment
    return Batches(
        *learn.sent,
        experiment.training.batch_size,
        experiment.seed,
        experiment.balance,
        learn.label,
        learn.batch_of,
        rows,
    )


def _compiled(
    recipe: Recipe, layout: Layout, notes: dict[int, str], evaluator: Evaluator, learn: Portion
) -> Sequence[Phase]:
    """Each phase's step, compiled when it is first called."""

    def phase(learning: Learning) -> Phase:
        step = partial(train_step, recipe.program, learning)
        return Phase(
            first=learning.first,
            train_step=compiled(step, layout, recipe.experiment.seed, donate=0),
            note=notes[learning.first],
            measure=lambda variables: evaluator.measure(
                variables, learning.frozen_norms, learn.rows, learn.put
            ),
            compare=_comparison(recipe, learning, layout),
        )

    return [phase(learning) for learning in recipe.phases]


def _comparison(recipe: Recipe, learning: Learning, layout: Layout) -> Comparison | None:
    """How the gradients of several objectives agree on a batch, compiled when it is first asked."""
    names = [one.name for one in recipe.task.objectives]
    if len(names) < 2 or not recipe.experiment.training.compare_gradients or not shared(learning):
        return None
    step = partial(compared_gradients, recipe.program, learning)
    compare = compiled(step, layout, recipe.experiment.seed)
    return lambda state, batch: agreement(names, **compare(state, batch))
