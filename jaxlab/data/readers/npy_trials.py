"""One npy file a trial, as in the folders of Sensorium and neuralpredictors."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from jaxlab.core.precision import narrowed
from jaxlab.core.types import UserError
from jaxlab.data.images import shown
from jaxlab.data.readers.npy import read_npy
from jaxlab.data.source import examples


def absent(folder: Path, rows: np.ndarray) -> list[str]:
    """The files {row}.npy that `folder` lacks."""
    there = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    return [name for row in rows.tolist() if (name := f"{row}.npy") not in there]


def stacked(folder: Path, rows: np.ndarray) -> np.ndarray:
    """(n, k) float32, or (`narrowed`) float64: the vectors (k,) in {row}.npy, read by several threads.

    Raises UserError naming the files that are missing, damaged, or of another length than the first.
    """
    if missing := absent(folder, rows):
        raise UserError(f"{folder}: {len(missing)} of {len(rows)} trials have no file ({examples(missing)})")
    files = [folder / f"{row}.npy" for row in rows.tolist()]
    first = read_trial(files[0])
    length = first.size
    values = np.empty((len(files), length), np.float32 if first.dtype == np.float32 else np.float64)

    def fill(position: int) -> str | None:
        try:
            vector = read_trial(files[position])
        except UserError as error:
            return str(error)
        if vector.shape != (length,):
            return f"{files[position]}: expected numbers ({length},) as {files[0].name} has, found {vector.shape}"
        values[position] = vector
        return None

    with ThreadPoolExecutor() as pool:
        found = shown(pool.map(fill, range(len(files))), len(files), f"reading {folder.name}")
        problems = [problem for problem in found if problem is not None]
    if problems:
        raise UserError(f"{folder}: {len(problems)} trials cannot be used: {examples(problems)}")
    return narrowed(values)


def read_trial(file: Path) -> np.ndarray:
    """The array of one trial. Raises UserError where it is damaged or holds no numbers."""
    values = read_npy(file)
    if values.dtype.kind not in "fiub":
        raise UserError(f"{file}: expected numbers, found {values.dtype}")
    return values
