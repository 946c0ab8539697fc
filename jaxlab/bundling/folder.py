"""The folder itself: wheels, runs, weights, configs, the notebook, and what describes them."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jaxlab.bundling import wheels
from jaxlab.bundling.cells import notebook
from jaxlab.bundling.runs import BundledRun, copy_weights, members_of
from jaxlab.core.beside import trusting
from jaxlab.core.files import writing
from jaxlab.core.folders import remove
from jaxlab.core.lock import locked
from jaxlab.core.types import UserError
from jaxlab.runs.run import Which
from jaxlab.training.rundir import provenance

SCHEMA = 2


def bundle(
    runs: Sequence[str | Path],
    out: str | Path,
    *,
    data: str | Path | None = None,
    which: Which | None = None,
    everything: bool = False,
    image: str | Path | None = None,
    python: str | None = None,
    tell: Callable[[str], None] = lambda line: None,
    trust: bool = False,
) -> Path:
    """Make the folder `out`, from which a notebook without network predicts with `runs` and writes a submission.

    data: where the competition's files lie there; None lets the notebook look for a sample_submission.csv.
    which: the checkpoint of each run, "best", "last" or a step; None for what `predict` takes, the best one, and the
    last ones of folds. everything: bring all dependencies, JAX among them, for a machine like this one and its Python;
    else those that Kaggle's image lacks. image: what `pip freeze` prints on Kaggle, where its image is not the one
    known here. python: the version of Python there, such as "3.13", where it is not Kaggle's of today.
    tell: is given a line on each part. trust: as `jaxlab.load` has it; the notebook trusts the bundle.
    Returns `out`. Raises UserError, before anything is copied, for runs without a checkpoint or weights that are not
    where their config says; and where pip cannot fetch a wheel.
    """
    out = Path(out)
    if os.path.lexists(out) and not _gives_way(out):
        raise UserError(f"{out} exists already; name a folder that does not, or an empty one")
    if everything and image is not None:
        raise UserError(
            "--image (image=) says what is installed already, --everything that nothing is: give one of them"
        )
    if python is not None:
        wheels.check_python(python)
    with trusting(trust):
        members = members_of([Path(run) for run in runs], which)
    name = out.resolve().name  # of `.`, which has none
    partial = out.resolve().with_name(f"{name}.partial")
    with locked(partial.with_name(f".{name}.lock"), out):
        shutil.rmtree(partial, ignore_errors=True)
        try:
            _fill(partial, members, data, everything, None if image is None else Path(image), python, tell)
            _describe(partial, name, members)
            with writing(out):
                _move(partial, out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    tell(f"{out}: {size / 1e6:,.1f} MB; {out / 'README.txt'} says how to use it")
    return out


def _gives_way(out: Path) -> bool:
    """A folder that is empty, or holds what version 0.1 had moved there when it was killed: all but bundle.json."""
    return out.is_dir() and {path.name for path in out.iterdir()} <= _PARTS


_PARTS = {"wheels", "runs", "weights", "configs", "notebook.ipynb", "dataset-metadata.json", "README.txt"}


def _move(partial: Path, out: Path) -> None:
    """Give the whole folder its name; one that is there already, perhaps the shell's, stays the same and is filled."""
    if not out.exists():
        partial.rename(out)
        return
    for left in out.iterdir():
        remove(left)
    for part in sorted(
        partial.iterdir(), key=lambda path: path.name == "bundle.json"
    ):  # which tells that all is there
        part.rename(out / part.name)


def _fill(
    folder: Path,
    members: Sequence[BundledRun],
    data: str | Path | None,
    everything: bool,
    image: Path | None,
    python: str | None,
    tell: Callable[[str], None],
) -> None:
    (folder / "wheels").mkdir(parents=True)
    wheel = wheels.own_wheel(folder / "wheels")
    extras = _extras(members)
    if everything:
        wheels.everything(wheel, python, extras)
        tell(f"wheels: jaxlab's and {len(list(wheel.parent.iterdir())) - 1} that it depends on")
    else:
        tell(
            "wheels: jaxlab's, and what Kaggle lacks: "
            f"{', '.join(wheels.lacking(wheel, image, python, extras)) or 'nothing'}"
        )
    (folder / "configs").mkdir()
    for member in members:
        member.copy(folder / "runs" / member.name)
        for inside, checkpoint in member.checkpoints.items():
            tell(f"{Path('runs', member.name, inside)}: step {checkpoint.step}")
        if (member.path / "config.py").is_file():
            shutil.copyfile(member.path / "config.py", folder / "configs" / f"{member.name}.py")
    for source, inside in _places(members).items():
        copy_weights(source, folder / inside)
        tell(f"{inside}: weights from {source}")
    tell(f"ensemble: {_ensemble(members)}")
    book = notebook(None if data is None else str(data), {member.name: 1.0 for member in members})
    (folder / "notebook.ipynb").write_text(json.dumps(book, indent=1) + "\n", "utf-8")


def _extras(members: Sequence[BundledRun]) -> list[str]:
    return sorted({extra for member in members for extra in member.extras})


def _ensemble(members: Sequence[BundledRun]) -> str:
    """How the notebook will combine them."""
    if len(members) < 2:
        return "of one run, its predictions as they are"
    if without := [member.name for member in members if member.labelled is None]:
        return (
            "the mean; to learn weights, predictions of labelled samples by these checkpoints are wanting of "
            f"{', '.join(without)} (jaxlab predict RUN --split validation)"
        )
    return "weights learned from the runs' predictions of labelled samples"


def _places(members: Sequence[BundledRun]) -> dict[Path, str]:
    """{file or folder of weights: its place in the bundle}; runs that share weights share a copy."""
    sources = dict.fromkeys(path for member in members for path in member.weights.values())
    return {source: f"weights/{number}/{source.name}" for number, source in enumerate(sources)}


def _describe(folder: Path, name: str, members: Sequence[BundledRun]) -> None:
    """README.txt, dataset-metadata.json for Kaggle's own command, and bundle.json.

    That has the SHA-256 of all that the notebook reads; of nothing else, since the notebook itself and the metadata are
    there to be edited, and Kaggle's command does not upload the metadata.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    slug = slug if len(slug) >= 6 else f"jaxlab-{slug}"  # Kaggle's least
    about = {"title": slug, "id": f"INSERT_USERNAME/{slug}", "licenses": [{"name": "other"}]}
    (folder / "dataset-metadata.json").write_text(json.dumps(about, indent=1) + "\n", "utf-8")
    (folder / "README.txt").write_text(_README.format(slug=slug), "utf-8")
    places = _places(members)
    record = {
        "schema": SCHEMA,
        "runs": [_record(member, places) for member in members],
        "extras": _extras(members),
        "made_with": provenance(),
        "files": {
            str(path.relative_to(folder)): _sha256(path)
            for part in ("wheels", "runs", "weights")
            for path in sorted((folder / part).rglob("*"))
            if path.is_file()
        },
    }
    (folder / "bundle.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")


def _record(member: BundledRun, places: dict[Path, str]) -> dict[str, Any]:
    """What the notebook needs to know of a run."""
    place, labelled = Path("runs", member.name), member.labelled
    return {
        "name": member.name,
        "path": str(place),
        "which": member.which,
        "checkpoints": [
            {"step": checkpoint.step, "digest": checkpoint.meta()["digest"]}
            for checkpoint in member.checkpoints.values()
        ],
        "weights": {
            field: f"{places[source]}#{member.parts[field]}" if field in member.parts else places[source]
            for field, source in member.weights.items()
        },
        "roots": member.roots,
        "labelled": None if labelled is None else str(place / labelled.relative_to(member.path)),
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_README = """\
A bundle of jaxlab: runs, and all that predicting with them needs where there is no network.

On Kaggle
  1. Put your user name into dataset-metadata.json, then
         kaggle datasets create --path . --dir-mode zip
     (or `kaggle datasets version -m "new runs"` later; or drag the folder onto "New Dataset").
  2. Make a notebook from notebook.ipynb (File > Import Notebook). Add this dataset ({slug}) and the competition as
     inputs, and turn the internet off.
  3. Save and submit: submission.csv is checked against the competition's sample before it is written.

Elsewhere
  In this folder, with the DATA of the notebook's first cell set: `jupyter lab notebook.ipynb`.

What lies here
  notebook.ipynb   installs, predicts, combines, checks, writes submission.csv; of several runs that keep predictions
                   of labelled samples it learns the weights, with the truth of the competition's training data
  wheels/          jaxlab and what the machine lacks; pip takes nothing from elsewhere
  runs/            each run's config, records, one checkpoint (of folds, each one's) without optimizer state, and its
                   predictions of labelled samples, which weights are learned from
  weights/         pretrained weights, where runs read features of a frozen network
  configs/         the config files, to train again: `jaxlab train configs/NAME.py`
  bundle.json      the runs, versions, and the SHA-256 of every wheel, weight file and file of a run
"""
