"""Trials that came to their end, without what only training needs: gigabytes, of forty trials of a large network."""

from pathlib import Path

from jaxlab.core.files import writing
from jaxlab.core.folders import remove
from jaxlab.runs.run import Run
from jaxlab.training.checkpoint import Saved, copy_for_predicting, saved

_ASIDE = "predicting"
_OLD = ".partial"  # which no one takes for a checkpoint


def thin(run: Run) -> None:
    """Leave of each network's checkpoints the best and the last, without optimizer state. Others' stay as they are.

    Raises UserError where the disk refuses.
    """
    for member in run.members:
        folder = member.rundir.checkpoints
        kept = {member.checkpoint(which).step for which in ("best", "last")}
        with writing(folder):
            for one in saved(folder):
                if one.step not in kept:
                    _removed(one.path)
                elif _trains(one):  # the last one last: until then, training could go on from it
                    _replace(one)


def mend(directory: Path) -> None:
    """Put in their places the checkpoints that a process had made when it died, before it could."""
    for made in directory.glob(f"**/checkpoints/{_ASIDE}/*"):
        final = made.parents[1] / made.name
        if made.name.isdigit() and not final.exists():
            with writing(final):
                made.rename(final)


def _trains(one: Saved) -> bool:
    return bool(one.meta()["leaves"].get("opt_state"))


def _replace(one: Saved) -> None:
    aside = one.path.parent / _ASIDE
    remove(aside)
    copy_for_predicting(one, aside)
    _removed(one.path)
    (aside / one.path.name).rename(one.path)
    remove(aside)


def _removed(path: Path) -> None:
    doomed = path.with_name(path.name + _OLD)
    remove(doomed)
    path.rename(doomed)
    remove(doomed)
