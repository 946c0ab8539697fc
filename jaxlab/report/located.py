"""What lies at a path that the user names: a run, its checkpoints, one of them, or another tool's checkpoint."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxlab.core.types import UserError
from jaxlab.report.weight_files import SUFFIXES, is_weight_file
from jaxlab.training.checkpoint import Saved, saved
from jaxlab.training.elsewhere import best_of
from jaxlab.training.rundir import RunDirectory


@dataclass(frozen=True)
class Located:
    """path: as given. run: the run directory that it is or lies in. checkpoints: those it names, oldest first.

    orbax: Orbax folders by item name, where another tool wrote the checkpoint. file: weights in one file.
    """

    path: Path
    run: RunDirectory | None
    checkpoints: tuple[Saved, ...] = ()
    orbax: tuple[tuple[str, Path], ...] = ()
    file: Path | None = None

    @property
    def newest(self) -> Saved | None:
        return self.checkpoints[-1] if self.checkpoints else None

    def info(self) -> dict[str, Any] | None:
        """run.json, where there is a run."""
        return self.run.info() if self.run else None

    def config(self) -> dict[str, Any] | None:
        """The experiment's JSON, where there is a run."""
        return self.run.config() if self.run else None

    def best(self) -> dict[str, Any] | None:
        """Metric, value, step and epoch of the best checkpoint, as the newest one of the run recorded it.

        Or as those have found it who validate its checkpoints elsewhere.
        """
        everything = saved(self.run.checkpoints) if self.run else self.checkpoints
        for checkpoint in reversed(everything):
            try:
                return best_of(checkpoint.path.parents[1], everything, checkpoint.meta())
            except UserError:
                continue
        return None


def locate(path: Path) -> Located:
    """Raises UserError, naming what was expected, where `path` holds neither a run nor a checkpoint."""
    path = path if path.name.strip(".") else path.resolve()  # "." may be a checkpoint, which its name tells
    if (path / "config.json").is_file() or (path / "run.json").is_file():
        run = RunDirectory(path)
        return Located(path, run, tuple(saved(run.checkpoints)))
    if _is_checkpoint(path):
        return Located(path, _run_of(path.absolute().parent), (Saved(path),))
    if inside := [checkpoint for checkpoint in saved(path) if _is_checkpoint(checkpoint.path)]:
        return Located(path, _run_of(path.absolute()), tuple(inside))
    if items := _orbax_items(path):
        return Located(path, None, orbax=items)
    if is_weight_file(path):
        return Located(path, None, file=path)
    told = "; python -m submit explain says what predictions were made of" if path.suffix == ".npz" else ""
    raise UserError(
        f"{path}: expected a run directory (with a config.json), its checkpoints folder, one checkpoint in that "
        f"folder, an Orbax checkpoint (with a _METADATA), or a weight file ({', '.join(SUFFIXES)}); found "
        f"{_found(path)}{told}"
    )


def _is_checkpoint(path: Path) -> bool:
    return path.name.isdigit() and any((path / name).exists() for name in ("meta.json", "manifest.json"))


def _run_of(checkpoints: Path) -> RunDirectory | None:
    run = RunDirectory(checkpoints.parent)
    return run if checkpoints == run.checkpoints and run.exists() else None


def _orbax_items(path: Path) -> tuple[tuple[str, Path], ...]:
    """(name, folder) of each Orbax tree: `path` itself, or the items that a CheckpointManager writes into it."""
    if (path / "_METADATA").is_file():
        return (("", path),)
    return tuple((file.parent.name, file.parent) for file in sorted(path.glob("*/_METADATA")))


def _found(path: Path) -> str:
    if not path.exists():
        return "nothing there"
    if not path.is_dir():
        return "a file"
    names = sorted(child.name for child in path.iterdir())
    return (
        f"a folder of {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"
        if names
        else "an empty folder"
    )
