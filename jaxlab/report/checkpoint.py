"""`jaxlab inspect`: what a run or a checkpoint holds, as one JSON object; the terminal's view is drawn from it.

Of a run, without `stats` and `other`, only JSON files are read; a file of weights is read whole.
"""

import contextlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from jaxlab.core.files import read_json
from jaxlab.core.types import UserError
from jaxlab.core.visible import from_here, visible
from jaxlab.report.compare import compare
from jaxlab.report.folds import folds_of
from jaxlab.report.leaves import described, statistics, values, without_devices
from jaxlab.report.located import Located, locate
from jaxlab.report.orbax import Leaves, tree_of
from jaxlab.report.terminal import render
from jaxlab.report.variants import is_study, variants_of
from jaxlab.report.weight_files import arrays_of
from jaxlab.training import journal
from jaxlab.training.checkpoint import Saved
from jaxlab.training.notices import in_short
from jaxlab.training.notices import read as read_notices
from jaxlab.training.records import Manifest

SCHEMA = 1


def show(
    path: Path,
    *,
    stats: bool = False,
    other: Path | None = None,
    as_json: bool = False,
    console: Console | None = None,
) -> None:
    """Print what `path` holds. Raises UserError where there is nothing to show, or, after it, for damage."""
    with _of_our_shape(path):
        report = describe(path, stats=stats, other=other)
    if as_json:
        print(json.dumps(report, indent=1, allow_nan=False))
    else:
        with _of_our_shape(path):
            render(from_here(visible(report)), console or Console())
    if faults := [entry["damaged"] for entry in report["checkpoints"] if entry["damaged"]]:
        raise UserError(f"{path}: {len(faults)} damaged checkpoint(s): {'; '.join(faults)}")


@contextlib.contextmanager
def _of_our_shape(path: Path) -> Iterator[None]:
    """Whatever is written in config.json and run.json is shown here: what keeps it from that is one message."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: its config.json or run.json is of another shape than jaxlab writes ({error!r:.200}); --json "
            "shows them as they are"
        ) from error


def describe(path: Path, *, stats: bool = False, other: Path | None = None) -> dict[str, Any]:
    """{"schema", "path", "run", "config", "best", "notices": [...], "checkpoints": [...], "diff": {...}}, ready for
    JSON.

    Of a study, which has no checkpoints of its own, with "variants" and "summary", of folds "folds" and "out_of_fold".
    A number that is not finite is None. stats: read each checkpoint's arrays, verify its manifest and digest.
    other: compare the newest checkpoint here with the newest one there.
    Raises UserError where either path is not a run or a checkpoint, or a checkpoint to compare is damaged.
    """
    place = locate(path)
    if (place.orbax and stats) or ((place.orbax or place.file) and other):
        asked = "--diff needs" if other else "--stats needs"
        raise UserError(f"{path}: {asked} a checkpoint that jaxlab wrote; this is another tool's")
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "path": str(path),
        "run": place.info(),
        "config": place.config(),
        "best": place.best(),
        "notices": in_short(read_notices(place.run.path)) if place.run else [],
        "checkpoints": _entries(place, stats),
    }
    if (report["config"] or {}).get("type") == "Folds":
        assert place.run is not None
        report |= folds_of(place.run, report["config"]["folds"])
    elif is_study(report["config"]) and place.run is not None:
        report |= variants_of(place.run)
    if other is not None:
        report["diff"] = compare(place, locate(other))
    return _finite(report)


def _entries(place: Located, stats: bool) -> list[dict[str, Any]]:
    if place.orbax:
        return [_foreign(place, tree_of(place.orbax))]
    if place.file is not None:
        return [_of_file(place, place.file, stats)]
    scores = journal.validations(place.run.metrics) if place.run else {}
    best = (place.best() or {}).get("step")
    entries = []
    for checkpoint in place.checkpoints:
        entry = _entry(checkpoint)
        entry["best"] = entry["step"] == best
        entry["metrics"] = scores.get(entry["step"], {})
        if stats and entry["damaged"] is None:
            _add_stats(entry, checkpoint)
        entries.append(entry)
    return entries


def _entry(checkpoint: Saved) -> dict[str, Any]:
    """What its JSON files say; nulls where they are damaged."""
    entry: dict[str, Any] = {
        "path": str(checkpoint.path),
        "step": checkpoint.step,
        "epoch": None,
        "digest": None,
        "bytes": _size(checkpoint.path),
        "parameters": None,
        "leaves": {},
        "damaged": _missing(checkpoint),
        "verified": False,
    }
    try:
        meta = checkpoint.meta()
        entry |= {"epoch": meta["epoch"], "digest": meta["digest"]}
        for field, named in meta["leaves"].items():
            entry["leaves"][field] = {path: described(*leaf) for path, leaf in named.items()}
        entry["parameters"] = sum(map(values, entry["leaves"]["params"].values()))
    except UserError as error:
        entry["damaged"] = str(error)
    except (KeyError, TypeError, ValueError) as error:
        entry["damaged"] = f"{checkpoint.path / 'meta.json'}: leaves are not a checkpoint's ({error!r})"
    return entry


def _missing(checkpoint: Saved) -> str | None:
    """What can be told without reading arrays: whether each listed file is there."""
    try:
        listed = read_json(checkpoint.path / "manifest.json", Manifest)["files"]
    except UserError as error:
        return str(error)
    return next(
        (f"{checkpoint.path / n} is missing" for n in listed if not (checkpoint.path / n).is_file()), None
    )


def _add_stats(entry: dict[str, Any], checkpoint: Saved) -> None:
    """Verify the files, then the digest of what they hold; and figures of each leaf."""
    entry["damaged"] = checkpoint.fault()
    if entry["damaged"] is not None:
        return
    without_devices()
    from jaxlab.core import tree

    try:
        arrays = checkpoint.arrays()
    except UserError as error:
        entry["damaged"] = str(error)
        return
    recorded, entry["digest"] = entry["digest"], tree.digest(arrays["params"])
    if entry["digest"] != recorded:
        entry["damaged"] = f"{checkpoint.path}: its parameters do not have the digest in its meta.json"
    entry["verified"] = entry["damaged"] is None
    entry["stats"] = {
        field: {path: statistics(np.asarray(leaf)) for path, leaf in named.items()}
        for field, named in arrays.items()
    }


def _of_file(place: Located, file: Path, stats: bool) -> dict[str, Any]:
    arrays = arrays_of(file)
    entry = _foreign(
        place,
        {
            field: {path: described(list(leaf.shape), str(leaf.dtype)) for path, leaf in named.items()}
            for field, named in arrays.items()
        },
    )
    if stats:
        entry["stats"] = {
            field: {path: statistics(leaf) for path, leaf in named.items()} for field, named in arrays.items()
        }
    return entry


def _foreign(place: Located, leaves: Leaves) -> dict[str, Any]:
    """What another tool wrote."""
    counted = leaves.get("params")
    return {
        "path": str(place.path),
        "step": None,
        "epoch": None,
        "digest": None,
        "bytes": _size(place.path),
        "parameters": None if counted is None else sum(map(values, counted.values())),
        "leaves": leaves,
        "damaged": None,
        "verified": False,
        "best": False,
        "metrics": {},
    }


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file())


def _finite(value: Any) -> Any:
    """JSON has no NaN: None stands for it."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
