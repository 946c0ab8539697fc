"""`jaxlab data audit`: what the data of an experiment hold, as one JSON object; tables and page are drawn from it."""

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from jaxlab.core.config import locations
from jaxlab.core.terminal import stderr_console
from jaxlab.core.types import UserError
from jaxlab.core.visible import from_here, visible
from jaxlab.core.words import counted
from jaxlab.data.audit.audit import Alike, Audit, audit
from jaxlab.data.audit.findings import BORDER, findings
from jaxlab.data.audit.image_statistics import BLACK
from jaxlab.experiment import Experiment
from jaxlab.report.audit_page import write_page
from jaxlab.report.audit_tables import render
from submit.files.atomic import atomic

SCHEMA = 1


def show(
    experiment: Experiment,
    *,
    out: Path | None = None,
    duplicates: Path | None = None,
    as_json: bool = False,
    console: Console | None = None,
) -> None:
    """Print the audit of the experiment's data, and write the page and the table of duplicates where asked for."""
    folders = [Path(place).resolve() for place in locations(experiment.data).values()]
    for path, suffix in ((out, ".html"), (duplicates, ".csv")):
        if path is not None and path.suffix.lower() != suffix:
            raise UserError(f"{path}: expected a file that ends in {suffix}")
        if path is not None and path.exists() and any(map(path.resolve().is_relative_to, folders)):
            raise UserError(f"{path}: is there already, among the data; name another file")
    found = audit(experiment.data.open(), experiment.split, experiment.images.levels)
    report = describe(found, type(experiment.data).__name__, list(locations(experiment.data).values()))
    if as_json:
        print(json.dumps(report, indent=1, allow_nan=False))
    else:
        render(from_here(visible(report)), console or Console())
    errors = stderr_console()
    if duplicates is not None:
        samples = write_duplicates(found, duplicates)
        errors.print(
            f"{duplicates}: {counted(samples, 'sample')} with an image that looks like one of another split",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
    if out is not None:
        write_page(found, report, out)
        errors.print(f"{out}: written", highlight=False, markup=False, soft_wrap=True)


def describe(found: Audit, source: str, at: Sequence[str] = ()) -> dict[str, Any]:
    """{"schema", "data", "at", "kind", "findings", "splits", "targets", "classes", "alike", "corrupt"}, ready for JSON.

    at: files and folders that the data lie in.
    targets: {name: {"mean", "std", "min", "max", "skew", "kurtosis", "far", "constant"}}; None where not finite.
    """
    return {
        "schema": SCHEMA,
        "data": source,
        "at": list(at),
        "kind": found.opened.kind,
        "findings": findings(found),
        "splits": {split: _split(found, split) for split in found.splits},
        "targets": _targets(found),
        "classes": found.classes,
        "alike": [_pair(pair, pair.second.id) for pair in found.alike],
        "corrupt": {entry.id: entry.fault for entry in found.corrupt},
    }


def _pair(pair: Alike, sample: str) -> dict[str, Any]:
    """sample: the id of one that shows the second image."""
    return {
        "id": sample,
        "split": pair.second.split,
        "like": pair.first.id,
        "like_split": pair.first.split,
        "bits": pair.bits,
        "correlation": round(pair.correlation, 4),
        "exact": pair.exact,
    }


def write_duplicates(found: Audit, path: Path) -> int:
    """A CSV of the pairs across splits, with a row for each sample of the later split that shows such an image.

    Its first column, these samples' ids, is what `python -m submit score --without` leaves out. Returns how many
    there are. Pairs within a split make no score too good.
    """
    fields = ("id", "split", "like", "like_split", "bits", "correlation", "exact")
    rows = [_pair(pair, sample) for pair in found.alike if pair.crosses for sample in pair.second.ids]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with atomic(path) as file:
        file.write(text.getvalue().encode())
    return len({row["id"] for row in rows})


def _split(found: Audit, split: str) -> dict[str, Any]:
    """Counts, sizes, and mean and standard deviation of red, green and blue over all pixels."""
    measured = [entry.measured for entry in found.of(split) if entry.measured is not None]
    sizes: dict[str, int] = {}
    for one in measured:
        name = f"{one.size[0]} x {one.size[1]}"
        sizes[name] = sizes.get(name, 0) + 1
    pixels = sum(math.prod(one.size) for one in measured)
    sums = np.sum([one.sums for one in measured], axis=0) if measured else np.zeros((2, 3))
    mean = sums[0] / max(pixels, 1)
    std = np.sqrt(np.maximum(sums[1] / max(pixels, 1) - mean**2, 0))
    borders = [one.border for one in measured if one.border and one.border.share(one.size) > BORDER]
    return {
        "samples": sum(len(entry.positions) for entry in found.entries if entry.split == split),
        "images": len(measured),
        "corrupt": sum(entry.split == split for entry in found.corrupt),
        "sizes": dict(sorted(sizes.items(), key=lambda item: -item[1])),
        "grey": sum(one.channels == 1 for one in measured),
        "dtype": sorted({one.dtype for one in measured}),
        "mean": mean.tolist(),
        "std": std.tolist(),
        "min": min((one.lowest for one in measured), default=0.0),
        "max": max((one.highest for one in measured), default=0.0),
        "at_0": float(np.mean([one.dark for one in measured])) if measured else 0.0,
        "at_255": float(np.mean([one.bright for one in measured])) if measured else 0.0,
        "black_borders": sum(border.level <= BLACK for border in borders),
        "other_borders": sum(border.level > BLACK for border in borders),
    }


def _targets(found: Audit) -> dict[str, dict[str, Any]]:
    moments = found.moments
    if moments is None:
        return {}
    columns = {
        "mean": moments.mean,
        "std": moments.std,
        "min": moments.lowest,
        "max": moments.highest,
        "skew": moments.skew,
        "kurtosis": moments.kurtosis,
        "far": moments.far,
        "constant": moments.constant,
    }
    rows = zip(*(values.tolist() for values in columns.values()), strict=True)
    return {
        name: {key: _finite(value) for key, value in zip(columns, row, strict=True)}
        for name, row in zip(found.opened.targets, rows, strict=True)
    }


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
