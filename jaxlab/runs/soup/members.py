"""The members of a soup: which checkpoints, and whether they may be averaged and compared."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import jax

from jaxlab.core.config import differences, identity, to_json
from jaxlab.core.types import UserError
from jaxlab.data.source import examples
from jaxlab.experiment.inputs import changed_encoders
from jaxlab.runs.network.run import NetworkRun, variables_of
from jaxlab.training.checkpoint import Saved, saved
from jaxlab.training.chosen import parameters_of
from jaxlab.training.state import Variables
from jaxlab.training.step import prediction_step

_SHOWN = 8  # names of arrays in a message


@dataclass(frozen=True)
class SoupMember:
    """A checkpoint of a run."""

    run: NetworkRun
    checkpoint: Saved

    @property
    def name(self) -> str:
        return f"{self.run.rundir.path} step {self.checkpoint.step}"

    def variables(self) -> Variables:
        """Read from disk, on the host."""
        return variables_of(self.checkpoint)

    def record(self) -> dict[str, Any]:
        """What names it in the soup's run.json."""
        digest = self.checkpoint.meta()["digest"]
        return {"run": str(self.run.rundir.path), "step": self.checkpoint.step, "digest": digest}


def members_of(
    runs: Sequence[NetworkRun], checkpoint: Literal["best", "last"] | None, checkpoints: str | None
) -> list[SoupMember]:
    """`checkpoint` of each run, or those of its kept `checkpoints` ("all" or "last:N"): of a single run all by default.

    Raises UserError for damaged ones, for a run given twice, and where there are fewer than two.
    """
    if checkpoint is not None and checkpoints is not None:
        raise UserError("soup: expected one checkpoint of each run or several, found both asked for")
    paths = [str(run.rundir.path.resolve()) for run in runs]
    if twice := sorted({path for path in paths if paths.count(path) > 1}):
        raise UserError(f"soup: runs given more than once: {', '.join(twice)}")
    if checkpoints is None and checkpoint is None and len(runs) == 1:
        checkpoints = "all"
    if checkpoints is None:
        members = [SoupMember(run, run.checkpoint(checkpoint or "best")) for run in runs]
    else:
        last = _last(checkpoints)
        kept = ((run, found.step) for run in runs for found in saved(run.rundir.checkpoints)[-last:])
        members = [SoupMember(run, run.checkpoint(step)) for run, step in kept]
    if len(members) < 2:
        raise UserError(
            f"soup: expected two checkpoints or more, found {len(members)} ({members[0].name}); give several runs, or "
            "one that keeps several (training.keep_every)"
        )
    return members


def _last(checkpoints: str) -> int:
    """N of `last:N`; 0, which leaves none out, of `all`."""
    if checkpoints == "all":
        return 0
    found = re.fullmatch(r"last:([1-9]\d*)", checkpoints)
    if found is None:
        raise UserError(f"soup: checkpoints: expected all or last:N, found {checkpoints!r}")
    return int(found[1])


def check_alike(members: Sequence[SoupMember]) -> None:
    """Raises UserError naming everything in which a member's network, targets or inputs differ from the first's."""
    first, *others = members
    problems = [f"{other.name}: {'; '.join(found)}" for other in others if (found := _unlike(first, other))]
    if problems:
        raise UserError(f"soup: these cannot be averaged with {first.name}: {' | '.join(problems)}")


def _unlike(first: SoupMember, other: SoupMember) -> list[str]:
    problems = _arrays(first.checkpoint, other.checkpoint)
    if other.run is first.run:
        return problems
    problems += _objectives(first.run, other.run) + _inputs(first.run, other.run)
    return problems or _functions(first, other)


def _leaves_of(checkpoint: Saved) -> dict[str, dict[str, Any]]:
    """{field of Variables: {path: (shape, dtype)}}."""
    leaves = checkpoint.meta()["leaves"]
    return {
        "params": leaves[parameters_of(checkpoint)],
        "stats": leaves["stats"],
        "constants": leaves["constants"],
    }


def _arrays(first: Saved, other: Saved) -> list[str]:
    here, there = (
        {
            f"{field}.{path}": leaf
            for field, named in _leaves_of(checkpoint).items()
            for path, leaf in named.items()
        }
        for checkpoint in (first, other)
    )
    found = {
        "lacks": [path for path in here if path not in there],
        "has besides": [path for path in there if path not in here],
        "differs in": [
            f"{path}, {_text(there[path])} instead of {_text(leaf)}"
            for path, leaf in here.items()
            if there.get(path, leaf) != leaf
        ],
    }
    return [f"{what} {examples(names, _SHOWN)}" for what, names in found.items() if names]


def _text(leaf: Any) -> str:
    shape, dtype = leaf
    return f"{dtype}{shape}"


def _objectives(first: NetworkRun, other: NetworkRun) -> list[str]:
    here, there = first.task.targets, other.task.targets
    if list(here) != list(there):
        return [f"objectives {', '.join(there)} instead of {', '.join(here)}"]
    return [problem for name in here for problem in _targets(here[name], there[name])]


def _targets(first: tuple[str, ...], other: tuple[str, ...]) -> list[str]:
    if first == other:
        return []
    here, there = dict.fromkeys(first), dict.fromkeys(other)
    missing, extra = (
        [name for name in here if name not in there],
        [name for name in there if name not in here],
    )
    if not missing and not extra:
        return ["the same targets in another order"]
    return [f"{len(missing)} targets missing ({examples(missing)}), {len(extra)} besides ({examples(extra)})"]


def _inputs(first: NetworkRun, other: NetworkRun) -> list[str]:
    here, there = _prepared(first), _prepared(other)
    return differences(here, there) + changed_encoders(first.task.encoders, other.task.encoders)


def _prepared(run: NetworkRun) -> dict[str, Any]:
    """How images reach the network."""
    left_out = ("kind", "targets", "objectives", "encoders")  # which are compared apart
    task = {name: value for name, value in run.task.to_json().items() if name not in left_out}
    task["images"].pop("memory_budget_gb")
    return {**task, "channels": to_json(run.experiment.channels)}


def _functions(first: SoupMember, other: SoupMember) -> list[str]:
    """The differences of model and head, where predictions are computed otherwise: dropout, say, makes none."""
    here, there = (
        {
            "model": identity(member.run.experiment.model),
            **{f"head of {name}": identity(one.head) for name, one in member.run.experiment.goals.items()},
        }
        for member in (first, other)
    )
    found = differences(here, there)
    return found if found and _lowered(first) != _lowered(other) else []


def _lowered(member: SoupMember) -> str:
    """What predicting computes of parameters and a batch, as XLA is told it; nothing is compiled."""
    leaves = _leaves_of(member.checkpoint)
    variables = Variables(
        **{
            field: {path: jax.ShapeDtypeStruct(*leaf) for path, leaf in named.items()}
            for field, named in leaves.items()
        }
    )
    recipe = member.run.recipe
    batch = {"image": recipe.input.example}
    program = replace(recipe.program, dtype="float32")
    return jax.jit(partial(prediction_step, program)).lower(variables, batch).as_text()


def unshared(runs: Sequence[NetworkRun]) -> list[str]:
    """Why no validation image is sure to be new to all `runs`: what differs from the first in split and data."""
    first, *others = runs
    problems = [
        f"{run.rundir.path}: a soup whose members were not validated on the same images"
        for run in runs
        if not run.validates
    ]
    for other in others:
        here, there = (
            {"split": identity(run.experiment.split), "data": run.info["data"]["fingerprint"][:12]}
            for run in (first, other)
        )
        problems += [f"{other.rundir.path}: {line}" for line in differences(here, there)]
    return problems
