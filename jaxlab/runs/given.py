"""Images that were handed over: those that can be used, and the file of what is predicted of them."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jaxlab.core.types import Samples, UserError
from jaxlab.core.words import counted
from jaxlab.data.images import shown
from jaxlab.data.readers.room import ROOM
from jaxlab.data.source import examples
from submit import Predictions, kaggle
from submit.files.atomic import atomic

SUFFIXES = (".csv", ".npz", ".parquet")


def readable_rows(samples: Samples, log: Callable[[str], None]) -> np.ndarray:
    """The rows of the images that can be decoded; `log` is told which cannot. Raises UserError where none can."""

    def fault(row: int) -> str | None:
        try:
            with ROOM.kept():
                samples.read(row)
        except UserError as error:
            return str(error)
        return None

    with ThreadPoolExecutor() as pool:
        faults = list(shown(pool.map(fault, range(len(samples))), len(samples), "looking at images"))
    broken = [words for words in faults if words is not None]
    if len(broken) == len(samples):
        raise UserError(f"none of {counted(len(samples), 'image')} can be used: {examples(broken)}")
    if broken:
        log(f"warning: {len(broken)} of {len(samples)} images are left out: {examples(broken, len(broken))}")
    return np.flatnonzero([words is None for words in faults])


def at_rows(samples: Samples, rows: np.ndarray) -> Samples:
    """Some of the samples that a user gave."""
    deep = samples.deep
    return replace(
        samples,
        ids=samples.ids[rows],
        read=lambda position: samples.read(int(rows[position])),
        checksum=lambda position: samples.checksum(int(rows[position])),
        deep=None if deep is None else lambda position: deep(int(rows[position])),
        columns={name: values[rows] for name, values in samples.columns.items()},
        image_of=None if samples.image_of is None else samples.image_of[rows],
    )


def save(predictions: Predictions, out: Path) -> None:
    """As its suffix says, with the provenance: in the file, of a csv beside it."""
    if out.suffix == ".npz":
        predictions.save(out)
    elif out.suffix == ".parquet":
        _save_parquet(predictions, out)
    else:
        kaggle.write(predictions, out)


def _save_parquet(predictions: Predictions, out: Path) -> None:
    """A column `id`, then one a target."""
    columns = [pa.array(predictions.ids.tolist()), *map(pa.array, predictions.values.T)]
    table = pa.table(columns, ["id", *predictions.targets.tolist()])
    about = {"kind": predictions.kind, "provenance": json.dumps(dict(predictions.provenance))}
    with atomic(out) as file:
        pq.write_table(table.replace_schema_metadata(about), file)
