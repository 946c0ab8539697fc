"""Runs on their way into a bundle: what of them predicting needs, and the weights that their encoders read."""

import contextlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxlab.core.beside import KEPT
from jaxlab.core.config import locations
from jaxlab.core.config_parts import components
from jaxlab.core.types import WEIGHT_SUFFIXES, UserError
from jaxlab.runs.api import load
from jaxlab.runs.run import Which
from jaxlab.training.ancestor import is_run, located
from jaxlab.training.checkpoint import Saved, copy_for_predicting, saved
from jaxlab.training.elsewhere import folder_of
from jaxlab.training.rundir import RunDirectory
from jaxlab.weights.read import find, split_part
from submit import Predictions
from submit.predictions import LABELLED

_FILES = ("config.json", "config.py", "run.json", "metrics.jsonl")


@dataclass(frozen=True)
class BundledRun:
    """A run as the user names it.

    which: the checkpoint to predict with, as `predict_split` has it.
    checkpoints: {the directory inside the run's that holds it: the one that is bundled}; "." or a study's variants.
    weights: {field of its config: file or folder} of its encoders. parts: {field: the part of such a file, `#part`}.
    roots: the fields that say where the data lie. extras: of jaxlab's package, what it does not predict without.
    labelled: the file of its predictions of labelled samples; None where there is none by these checkpoints.
    """

    path: Path
    which: Which
    checkpoints: dict[str, Saved]
    weights: dict[str, Path]
    parts: dict[str, str]
    roots: list[str]
    extras: set[str]
    labelled: Path | None

    @property
    def name(self) -> str:
        """Of its folder in the bundle."""
        return self.path.resolve().name

    def copy(self, target: Path) -> None:
        """Write the run without test predictions and without what only training needs."""
        within = {str(parent) for inside in self.checkpoints for parent in Path(inside).parents}
        for inside in {".", *self.checkpoints, *within}:  # of a study of studies those between, too
            _copy_files(self.path / inside, target / inside)
        for inside, checkpoint in self.checkpoints.items():
            copy_for_predicting(checkpoint, target / inside / "checkpoints")


def members_of(paths: Sequence[Path], which: Which | None) -> list[BundledRun]:
    """The runs at `paths`. Raises UserError with what is amiss in any of them."""
    problems: list[str] = []
    members = []
    for path in paths:
        try:
            members.append(_member(path, which))
        except UserError as error:
            problems.append(str(error) if str(path) in str(error) else f"{path}: {error}")
    asked = [path.resolve().name for path in paths]
    bundled = [member.name for member in members]  # a study may predict as one of its variants
    names = asked if len(set(asked)) < len(asked) else bundled
    if twice := sorted({name for name in names if names.count(name) > 1}):
        problems.append(f"several runs are called {', '.join(twice)}: rename their folders")
    if problems:
        raise UserError("; ".join(problems))
    return members


def _member(path: Path, which: Which | None) -> BundledRun:
    run = load(path).predictor
    path = run.rundir.path
    if subjects := run.subjects:
        raise UserError(
            f"{path}: predicts {len(subjects)} subjects, where a bundle makes one submission: `jaxlab predict {path} "
            "--out FOLDER` writes a file for each"
        )
    chosen = run.usual if which is None else which
    checkpoints = {
        str(member.rundir.path.relative_to(path)): member.checkpoint(chosen) for member in run.members
    }
    found = locations(run.members[0].experiment)  # of folds, the same in all
    weights = {
        name: _weights(name, source) for name, source in found.items() if "encoders" in name.split(".")
    }
    parts = {name: part for name in weights if (part := split_part(found[name])[1])}
    roots = [name for name in found if name not in weights and name.split(".")[-1] == "root"]
    extras = {extra for part in components(run.members[0].experiment) for extra in part.extras}
    labelled = _labelled(run.rundir, list(checkpoints.values()))
    return BundledRun(path, chosen, checkpoints, weights, parts, roots, extras, labelled)


def _labelled(rundir: RunDirectory, checkpoints: Sequence[Saved]) -> Path | None:
    digests = [checkpoint.meta()["digest"] for checkpoint in checkpoints]
    for file in map(rundir.predictions, LABELLED):
        if file.is_file():
            origin = Predictions.load(file).provenance
            made_by = [part.get("digest") for part in origin.get("folds", [origin])]
            if made_by == digests or not any(made_by):  # files may keep no provenance
                return file
    return None


def _weights(name: str, source: str) -> Path:
    """A file, or a folder where what lies beside the weights counts too."""
    path = Path(source).expanduser()
    if not name.endswith(".pretrained"):  # a tokenizer
        if path.is_dir():
            return path
        raise UserError(f"{name}={source}: expected a folder; download the tokenizer's files into one first")
    file = located(source)
    if is_run(source):
        return file
    return file if path.is_file() else file.parent


def _copy_files(path: Path, target: Path) -> None:
    """Copy a run's records and its predictions for labelled samples, which learned ensembles need."""
    (target / "predictions").mkdir(parents=True)
    records = [*(path / name for name in _FILES), *folder_of(path).glob("*.json")]
    if folder_of(path).is_dir():
        folder_of(target).mkdir()
    for file in [*records, *(path / "predictions").glob("*.npz")]:
        if file.is_file() and (file.suffix != ".npz" or file.stem in LABELLED):
            shutil.copyfile(file, target / file.relative_to(path))
    if (path / KEPT).is_dir():
        shutil.copytree(path / KEPT, target / KEPT, ignore=shutil.ignore_patterns("__pycache__"))


def copy_weights(source: Path, target: Path) -> None:
    """Copy a weight file, what predicting needs of a run, or a folder but for weight files that are not read."""
    target.parent.mkdir(parents=True)
    if is_run(str(source)):
        _copy_files(source, target)
        for checkpoint in saved(source / "checkpoints"):
            copy_for_predicting(checkpoint, target / "checkpoints")
        return
    if source.is_file():
        shutil.copyfile(source, target)
        return
    target.mkdir()
    weights = None
    with contextlib.suppress(UserError):  # the folder of a tokenizer alone
        weights = find(str(source))
    for file in source.iterdir():
        if file.is_file() and (file == weights or file.suffix not in WEIGHT_SUFFIXES):
            shutil.copyfile(file, target / file.name)
