"""Runs on their way into a bundle: what of them predicting needs, and the weights that their encoders read."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jaxlab.api import load
from jaxlab.config import locations
from jaxlab.ridge_run import RidgeRun
from jaxlab.run import Run, Which
from jaxlab.training.checkpoint import Saved, copy_for_predicting, saved
from jaxlab.training.rundir import RunDirectory
from jaxlab.types import UserError
from jaxlab.weights.read import METADATA, SUFFIXES, find

_FILES = ("config.json", "config.py", "run.json", "metrics.jsonl")


@dataclass
class Part:
    """One run directory with checkpoints: a run, or a fold of it.

    checkpoint: what is bundled of its checkpoints. weights: {field of its config: file or folder} of its encoders.
    roots: the fields that say where the data lie.
    """

    run: Run | RidgeRun
    checkpoint: Saved
    weights: dict[str, Path]
    roots: list[str]

    @property
    def path(self) -> Path:
        return self.run.rundir.path

    def copy(self, target: Path) -> None:
        """Write the run without test predictions and without what only training needs."""
        copy_files(self.path, target)
        copy_for_predicting(self.checkpoint, target / "checkpoints")


@dataclass
class Member:
    """A run as the user names it: `parts` are the run itself, or its folds."""

    name: str
    path: Path
    parts: list[Part] = field(default_factory=list)


def members_of(paths: list[Path], which: Which) -> list[Member]:
    """The runs at `paths`. Raises UserError with everything that is amiss in any of them."""
    members = [Member(path.resolve().name, path) for path in paths]
    problems = []
    names = [member.name for member in members]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        problems.append(f"several runs are called {', '.join(twice)}: rename their folders")
    for member in members:
        try:
            for path in _with_checkpoints(member.path):
                try:
                    member.parts.append(_part(path, which))
                except UserError as error:
                    problems.append(_named(path, error))
        except UserError as error:
            problems.append(_named(member.path, error))
    if problems:
        raise UserError("; ".join(problems))
    return members


def _named(path: Path, error: UserError) -> str:
    return str(error) if str(path) in str(error) else f"{path}: {error}"


def _with_checkpoints(path: Path) -> list[Path]:
    """The run directory itself, or those of its folds."""
    RunDirectory(path).config()  # raises where it is none
    folds = sorted(child for child in path.iterdir() if RunDirectory(child).exists())
    return [path] if saved(RunDirectory(path).checkpoints) or not folds else folds


def _part(path: Path, which: Which) -> Part:
    run = load(path)
    checkpoint = run.checkpoint if isinstance(run, RidgeRun) else run.checkpoint(which)
    found = locations(run.experiment)
    weights = {
        name: _weights(name, source) for name, source in found.items() if "encoders" in name.split(".")
    }
    roots = [name for name in found if name not in weights and name.split(".")[-1] == "root"]
    return Part(run, checkpoint, weights, roots)


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
    """Copy a weight file, or a folder's: its weights and the small files beside them."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_file():
        shutil.copyfile(source, target)
        return
    target.mkdir()
    weights: Any = None
    try:
        weights = find(str(source))
    except UserError:  # a tokenizer alone
        weights = None
    for file in source.iterdir():
        if file.is_file() and (file == weights or file.name in METADATA or file.suffix not in SUFFIXES):
            shutil.copyfile(file, target / file.name)
