"""Which of a run's checkpoints is meant by the best, the last or a step, and which of its fields evaluation uses."""

from functools import partial
from pathlib import Path
from typing import Literal

from jaxlab.core.terminal import stderr_console
from jaxlab.core.types import UserError
from jaxlab.core.words import counted
from jaxlab.training import elsewhere
from jaxlab.training.checkpoint import Saved, newest_good, saved

Which = Literal["best", "last"] | int


def chosen(folder: Path, which: Which) -> Saved:
    """The checkpoint in `folder` that `which` means; for a damaged best or last the good one before it, and says so.

    Raises UserError where a step is not there or is damaged, or where no checkpoint is whole.
    """
    if isinstance(which, int):
        found = {checkpoint.step: checkpoint for checkpoint in saved(folder)}
        if which not in found:
            raise UserError(f"{folder}: no checkpoint {which}; there are {sorted(found)}")
        if fault := found[which].fault():
            raise UserError(f"checkpoint {which} is damaged: {fault}; there are {sorted(found)}")
        return found[which]
    if which not in ("best", "last"):
        raise UserError(f"checkpoint: expected best, last or a step, found {which!r}")
    warn = partial(stderr_console().print, highlight=False, soft_wrap=True)
    last = newest_good(folder, warn)
    if last is None:
        raise UserError(f"{folder}: none of the {len(saved(folder))} checkpoints is whole")
    if which == "last":
        return last
    meta = last.meta()
    best = (elsewhere.best_of(folder.parent, saved(folder), meta) or {}).get("step", last.step)
    if elsewhere.AWAITS in meta and (warning := _unvalidated(folder)):  # else others' scores choose nothing
        warn(warning)
    return last if best == last.step else newest_good(folder, warn, up_to=best) or last


def _unvalidated(folder: Path) -> str | None:
    """What to say where others have yet to validate checkpoints among which the best is."""
    awaiting = [one for one in saved(folder) if elsewhere.awaits(one)]
    left = len(awaiting) - len(elsewhere.validated(folder.parent, awaiting))
    if not left:
        return None
    which = (
        "the last one is taken for the best" if left == len(awaiting) else "the best of the others is taken"
    )
    return (
        f"warning: {folder.parent}: {left} of {counted(len(awaiting), 'checkpoint')} "
        f"{'is' if left == 1 else 'are'} not validated yet, so that {which}; `jaxlab evaluate --pending "
        f"{folder.parent}` validates them"
    )


def parameters_of(checkpoint: Saved) -> Literal["ema", "params"]:
    """The field of a checkpoint that evaluation uses: averaged parameters where the run keeps them."""
    return "ema" if checkpoint.meta()["leaves"]["ema"] else "params"
