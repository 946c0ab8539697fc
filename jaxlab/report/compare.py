"""What differs between two runs or checkpoints: config, versions, shapes and values."""

from typing import Any

import numpy as np

from jaxlab.core.config import differences
from jaxlab.core.types import UserError
from jaxlab.report.leaves import difference, without_devices
from jaxlab.report.loading import hindrances
from jaxlab.report.located import Located
from jaxlab.training.checkpoint import Leaves, Saved


def compare(here: Located, there: Located) -> dict[str, Any]:
    """Of the newest checkpoint of each, with leaves named `field.path`.

    {"path", "steps": [here, there], "identical": whether the parameters' digests agree, "config": [lines],
    "run": [lines on versions, commit, data, devices], "only_here": [leaves], "only_there": [leaves],
    "shapes": {leaf: [here, there]}, "leaves": {leaf: {"relative", "max_abs"}}}, the last sorted, largest first. "load":
    [{"why", "mend"}], what keeps the checkpoint there from going on in the run here.
    Raises UserError where a checkpoint is damaged or another tool's.
    """
    if there.orbax or there.file:
        raise UserError(
            f"--diff {there.path}: expected a checkpoint that jaxlab wrote; this is another tool's"
        )
    report: dict[str, Any] = {
        "path": str(there.path),
        "steps": [place.newest.step if place.newest else None for place in (here, there)],
        "identical": None,
        "config": _lines(here.config(), there.config()),
        "run": _lines(here.info(), there.info()),
        "only_here": [],
        "only_there": [],
        "shapes": {},
        "leaves": {},
        "load": [],
    }
    if here.newest and there.newest:
        report |= _arrays(_read(here.newest), _read(there.newest))
        found = hindrances(report, here.info() or {}, there.info() or {})
        report["load"] = [one._asdict() for one in found]
    return report


def _lines(here: dict[str, Any] | None, there: dict[str, Any] | None) -> list[str]:
    """Nothing where one of them is a checkpoint alone, without its run."""
    return differences(here, there) if here and there else []


def _read(checkpoint: Saved) -> Leaves:
    if fault := checkpoint.fault():
        raise UserError(f"--diff: checkpoint {checkpoint.path} is damaged: {fault}")
    without_devices()
    return checkpoint.arrays()


def _arrays(here: Leaves, there: Leaves) -> dict[str, Any]:
    from jaxlab.core import tree

    a, b = _flat(here), _flat(there)
    shared = [name for name in a if name in b]
    kinds = {name: [_kind(a[name]), _kind(b[name])] for name in shared}
    found = {name: difference(a[name], b[name]) for name in shared if a[name].shape == b[name].shape}
    return {
        "identical": tree.digest(here["params"]) == tree.digest(there["params"]),
        "only_here": sorted(a.keys() - b.keys()),
        "only_there": sorted(b.keys() - a.keys()),
        "shapes": {name: kind for name, kind in kinds.items() if kind[0] != kind[1]},
        "leaves": dict(
            sorted(found.items(), key=lambda item: -np.nan_to_num(item[1]["relative"], nan=np.inf))
        ),
    }


def _flat(arrays: Leaves) -> dict[str, np.ndarray]:
    return {
        f"{field}.{path}": np.asarray(leaf) for field, named in arrays.items() for path, leaf in named.items()
    }


def _kind(array: np.ndarray) -> str:
    return f"{array.dtype}{list(array.shape)}"
