"""Runs on their way into a bundle: what of them predicting needs, and the weights that their encoders read."""

import contextlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from jaxlab.api import load
from jaxlab.config import locations
from jaxlab.ridge_run import RidgeRun
from jaxlab.run import Run, Which
from jaxlab.training.checkpoint import Saved, copy_for_predicting, saved
from jaxlab.training.rundir import RunDirectory
from jaxlab.types import UserError
from jaxlab.weights.read import SUFFIXES, find

_FILES = ("config.json", "config.py", "run.json", "metrics.jsonl")
T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """One run directory with checkpoints: a run, or a fold of it.

    checkpoint: the one that is bundled. weights: {field of its config: file or folder} of its encoders.
    roots: the fields that say where the data lie.
    """

    path: Path
    checkpoint: Saved
    weights: dict[str, Path]
    roots: list[str]

    def copy(self, target: Path) -> None:
        """Write the run without test predictions and without what only training needs."""
        copy_files(self.path, target)
        copy_for_predicting(self.checkpoint, target / "checkpoints")


@dataclass(frozen=True)
class Member:
    """A run as the user names it: `parts` are the run itself, or its folds."""

    path: Path
    parts: tuple[Part, ...]

    @property
    def name(self) -> str:
        """Of its folder in the bundle."""
        return self.path.resolve().name

    def place(self, part: Part) -> str:
        """Where a part lies in the bundle."""
        return f"runs/{self.name}" + ("" if part.path == self.path else f"/{part.path.name}")


def members_of(paths: Sequence[Path], which: Which) -> list[Member]:
    """The runs at `paths`. Raises UserError with everything that is amiss in any of them."""
    problems: list[str] = []
    members = []
    for path in paths:
        found = [
            _tried(folder, partial(_part, folder, which), problems) for folder in _folders(path, problems)
        ]
        members.append(Member(path, tuple(part for part in found if part is not None)))
    names = [member.name for member in members]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        problems.append(f"several runs are called {', '.join(twice)}: rename their folders")
    if problems:
        raise UserError("; ".join(problems))
    return members


def _tried(path: Path, make: Callable[[], T], problems: list[str]) -> T | None:
    """What `make` makes of the run at `path`; where it cannot, a line in `problems`."""
    try:
        return make()
    except UserError as error:
        problems.append(str(error) if str(path) in str(error) else f"{path}: {error}")
        return None


def _folders(path: Path, problems: list[str]) -> list[Path]:
    """The run directory itself, or those of its folds."""
    if _tried(path, RunDirectory(path).config, problems) is None:
        return []
    folds = sorted(child for child in path.iterdir() if RunDirectory(child).exists())
    return [path] if saved(RunDirectory(path).checkpoints) or not folds else folds


def _part(path: Path, which: Which) -> Part:
    run = load(path)
    assert isinstance(run, Run | RidgeRun)  # `_folders` names the folds one by one
    checkpoint = run.checkpoint if isinstance(run, RidgeRun) else run.checkpoint(which)
    found = locations(run.experiment)
    weights = {
        name: _weights(name, source) for name, source in found.items() if "encoders" in name.split(".")
    }
    roots = [name for name in found if name not in weights and name.split(".")[-1] == "root"]
    return Part(path, checkpoint, weights, roots)


def _weights(name: str, source: str) -> Path:
    """A file, or a folder where what lies beside the weights counts too."""
    path = Path(source).expanduser()
    if not name.endswith(".pretrained"):  # a tokenizer
        if path.is_dir():
            return path
        raise UserError(f"{name}={source}: expected a folder; download the tokenizer's files into one first")
    file = find(source)
    return file if path.is_file() else file.parent


def copy_files(path: Path, target: Path) -> None:
    """Copy a run's records and its predictions for labelled samples, which learned ensembles need."""
    (target / "predictions").mkdir(parents=True)
    for file in [*(path / name for name in _FILES), *(path / "predictions").glob("*.npz")]:
        if file.is_file() and file.name != "test.npz":
            shutil.copyfile(file, target / file.relative_to(path))


def copy_weights(source: Path, target: Path) -> None:
    """Copy a weight file, or a folder but for weight files that are not read."""
    target.parent.mkdir(parents=True)
    if source.is_file():
        shutil.copyfile(source, target)
        return
    target.mkdir()
    weights = None
    with contextlib.suppress(UserError):  # the folder of a tokenizer alone
        weights = find(str(source))
    for file in source.iterdir():
        if file.is_file() and (file == weights or file.suffix not in SUFFIXES):
            shutil.copyfile(file, target / file.name)
