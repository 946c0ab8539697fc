"""Where a network's training starts from: pretrained or fresh parameters, or the checkpoint of a run to go on with."""

import json
from dataclasses import dataclass, field
from typing import Any, get_args

from jaxlab.core import tree
from jaxlab.core.config import anchored, to_json
from jaxlab.core.types import UserError
from jaxlab.data.source import Opened
from jaxlab.experiment.inputs import Portion
from jaxlab.experiment.recipe import Recipe
from jaxlab.experiment.task import origins_of
from jaxlab.heads import coordinates
from jaxlab.runs.checks import check_same
from jaxlab.runs.learned import learned_before
from jaxlab.runs.network.weights import changed_weights, digests, has_pretrained, pretrained
from jaxlab.runs.run import record
from jaxlab.training.checkpoint import Saved, newest_good, saved
from jaxlab.training.display import Session
from jaxlab.training.hosts import Group
from jaxlab.training.plan import Progress
from jaxlab.training.rundir import RunDirectory
from jaxlab.training.sharding import AUTO, Layout, Parallel
from jaxlab.training.state import TrainState
from jaxlab.weights import stem_of


@dataclass(frozen=True)
class Start:
    """recipe: with images prepared as the pretrained weights were. info: run.json.

    pretrained: parameters and batch statistics of the backbone. checkpoint: the one to go on from, if any.
    new: whether the run directory has yet to say so. of_answers: as the recipe has it, without a checkpoint.
    """

    recipe: Recipe
    rundir: RunDirectory
    info: dict[str, Any]
    pretrained: tuple[tree.Flat, tree.Flat]
    checkpoint: Saved | None
    new: bool
    of_answers: tree.Flat = field(default_factory=dict)

    def is_done(self, session: Session) -> bool:
        """Whether no step is left to make; says so."""
        if self.checkpoint is None:
            return False
        plan, step = self.recipe.plan, self.checkpoint.step
        all_made = step >= plan.steps
        stopped = plan.gives_up(Progress.of(self.checkpoint.meta()["progress"]))
        if all_made or stopped:
            done = f"all {plan.steps} steps are done" if all_made else f"stopped early at step {step}"
            session.log(f"{self.rundir.path}: {done}")
        return all_made or stopped

    def state(self, learn: Portion, layout: Layout, session: Session) -> tuple[TrainState, Progress]:
        """What the loop goes on with. Raises UserError where the checkpoint does not fit the experiment."""
        state = self.recipe.initial_state(learn, self.pretrained, self.of_answers, layout)
        if self.checkpoint is None:
            return state, Progress()
        meta = self.checkpoint.meta()
        session.log(f"{self.rundir.path}: going on from step {meta['step']}")
        trained = state.from_arrays(self.checkpoint.arrays())
        coordinates.check_same(
            trained.stats, state.stats, f"{self.rundir.path} goes on with the coordinates that it began with"
        )
        return trained, Progress.of(meta["progress"])

    def check_alike(self, hosts: Group) -> None:
        """Raises UserError where processes that train together would begin otherwise."""
        if hosts.count == 1:
            return
        data, disk = (
            self.info["data"]["fingerprint"],
            "the run directory has to lie on a disk that all of them see",
        )
        hosts.same(
            "the data's fingerprint", data[:12], "give all of them the same files (--set data.root=FOLDER)"
        )
        step = None if self.checkpoint is None else self.checkpoint.step
        hosts.same("the checkpoint to go on from", "none" if step is None else f"step {step}", disk)
        digest = None if self.checkpoint is None else self.checkpoint.meta().get("digest")
        hosts.same("that checkpoint's parameters", str(digest)[:12], disk)
        weights = json.dumps(digests(self.info["weights"]), sort_keys=True)
        hosts.same("their pretrained weights", weights, "give all of them the same files")

    def keep(self, source: str | None) -> None:
        """Write the config into the run directory. source: text of the config file."""
        self.rundir.create(to_json(anchored(self.recipe.experiment)), source, self.info)


def began_with(rundir: RunDirectory) -> Parallel:
    """What "auto" is on several devices for a run: what it was when it began, so that going on changes no bit.

    Raises UserError where its run.json says what no version writes.
    """
    if not rundir.exists():
        return AUTO
    found: Any = rundir.info().get("layout", {"several": "pmap"})  # as all did that do not say so
    several: Any = found.get("several") if isinstance(found, dict) else found
    if several not in (known := get_args(Parallel)):
        raise UserError(
            f"{rundir.path / 'run.json'}: layout.several: expected one of {', '.join(known)}, found {several!r}"
        )
    return several


def begin(
    recipe: Recipe,
    rundir: RunDirectory,
    opened: Opened,
    layout: Layout,
    allow_change: bool,
    session: Session,
) -> Start:
    """A fresh start, or that of the run in `rundir`, which must be the same experiment's.

    Raises UserError for weights that do not fit, for a run of another experiment or of other data, and where there are
    checkpoints and none is whole.
    """
    existed = rundir.exists()
    weights = earlier = rundir.info()["weights"] if existed else None
    params: tree.Flat = {}
    stats: tree.Flat = {}
    if has_pretrained(recipe.experiment.model) and not saved(rundir.checkpoints):
        params, stats, weights = _pretrained(recipe)
    changes = changed_weights(earlier, weights, recipe.experiment.model) if earlier else []
    recipe = recipe.prepared_as(weights)
    if existed:  # by whose origins the checkpoints were trained
        recipe = recipe.above(origins_of(rundir.info()["task"]))
    learned = () if existed else learned_before(recipe.experiment, opened, recipe.training.positions[1])
    for line in (*recipe.input.notes(weights), *_spaces(recipe), *recipe.training.notes, *learned):
        session.log(line)
    fingerprint, subjects = recipe.experiment.fingerprints(opened)
    info = record(
        recipe.task.to_json(),
        fingerprint,
        layout.count,
        layout={"parallel": layout.parallel, "several": layout.several},
        weights=weights,
        subjects=subjects,
        finetune=recipe.training.table,
    )
    if existed:
        check_same(recipe.experiment, rundir, info, allow_change, session, changes)
    checkpoint = _newest(rundir, session)
    new, of_answers = not existed or allow_change, {} if checkpoint else recipe.of_answers
    for line in recipe.tied_answers(of_answers):
        session.log(line)
    return Start(recipe, rundir, info, (params, stats), checkpoint, new, of_answers)


def _spaces(recipe: Recipe) -> list[str]:
    """A line for each loss that may not expect what it is given."""
    losses = {
        type(part) for one in recipe.task.objectives if one.kind == "regression" for part in one.loss.parts
    }
    return [
        f"{loss.__name__} compares targets of mean 0 and standard deviation 1 (training.standardize); a loss "
        'of their own units, such as Poisson\'s, says so in its class: space = "units"'
        for loss in losses
        if recipe.experiment.training.standardize and not loss.says_its_space()
    ]


def _pretrained(recipe: Recipe) -> tuple[tree.Flat, tree.Flat, dict[str, Any]]:
    """As `pretrained`. Raises UserError where further channels would do nothing."""
    parts, further = recipe.experiment.model.parts, recipe.input.further_channels
    loaded = pretrained(recipe)
    _, _, weights = loaded
    (name, part), *_ = parts.items()
    if getattr(part, "pretrained", None) is None:
        return loaded
    stem = weights["widened"] if "widened" in weights else stem_of(part) if further else None
    path = ".".join(filter(None, ("backbone", name, stem)))
    if further and stem is not None and path not in recipe.training.tuning.factor:
        raise UserError(
            f"{further} further channels would do nothing: pretrained weights have none for them, and the rules of "
            "finetune freeze the layer that sees them; let the first layer train"
        )
    return loaded


def _newest(rundir: RunDirectory, session: Session) -> Saved | None:
    """The checkpoint to go on from, if any. Raises UserError where there are some and none is whole."""
    checkpoint = newest_good(rundir.checkpoints, session.log)
    if checkpoint is None and (damaged := saved(rundir.checkpoints)):
        raise UserError(
            f"{rundir.checkpoints}: none of the {len(damaged)} checkpoints is whole; remove {rundir.path} to start "
            "afresh"
        )
    return checkpoint
