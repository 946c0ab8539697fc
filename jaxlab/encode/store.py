"""Features on disk: a folder for what an encoder makes of a set of samples, in it a file for each layer.

features/<key>/manifest.json              what made them; {file: layer, pool, shape, dtype, sum} of the whole files
features/<key>/ids.npy                    (n,) of the samples
features/<key>/<layer>.<pool>.<dtype>.npy (n, ...); bfloat16 as its 16 bits
features/<key>/*.partial, progress.json   being made: {file: rows that are on disk}
features/<key>/lock                       held by the process that makes them
features/<key>/pieces/                    what others make of them meanwhile: `pieces`

A file gets its name once it is whole and on disk, and counts only when the manifest then lists it. It is summed when
it is first opened by a process: one that has changed since it was written is made anew.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from filelock import FileLock, Timeout

from jaxlab.core.checksum import content_sum
from jaxlab.core.files import read_json, write_json, writing
from jaxlab.core.store import ELSEWHERE, cache_dir, create, mapped
from jaxlab.core.types import UserError

SCHEMA = 1
_SUM = "sum"
FLUSH_SECONDS = 5.0  # between the moments after which a killed run goes on
_WAIT = 5.0  # seconds after which one that waits looks again for something to do
_ADVICE = 'or keep less: pool="mean", dtype="bfloat16", fewer layers'
_STORED: dict[str, np.dtype] = {"float32": np.dtype(np.float32), "bfloat16": np.dtype(np.uint16)}

Rows = tuple[np.ndarray, Mapping[str, np.ndarray]]  # which rows, and their values by layer


@dataclass(frozen=True)
class Layer:
    """One layer's array. shape: (n, ...). dtype: "float32" or "bfloat16"."""

    name: str
    pool: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def file(self) -> str:
        return f"{self.name}.{self.pool}.{self.dtype}.npy"

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape)) * _STORED[self.dtype].itemsize

    def record(self) -> dict[str, Any]:
        return {"layer": self.name, "pool": self.pool, "shape": list(self.shape), "dtype": self.dtype}


@dataclass(frozen=True)
class Folder:
    """What is kept under `key`, which must name everything that features depend on but layer, pool and dtype."""

    key: str

    @property
    def path(self) -> Path:
        return cache_dir() / "features" / self.key

    def open(self, layer: Layer) -> np.ndarray | None:
        """The layer's array, read-only and memory-mapped; None where it is not there, another one, or not as written.

        Version 0.1 listed no sums: its layers are taken as they are.
        """
        listed = _listed(self.path)
        record = listed.get(layer.file)
        if not isinstance(record, dict) or {**record, _SUM: None} != {**layer.record(), _SUM: None}:
            return None
        array = _mapped(self.path / layer.file, layer)
        if array is None or (_SUM in record and record[_SUM] != _summed(self.path / layer.file)):
            return None
        return array if layer.dtype == "float32" else array.view(ml_dtypes.bfloat16)

    def listed(self) -> set[str]:
        """Files of the layers that are whole, as its manifest says."""
        return set(_listed(self.path))

    def lists(self, layers: Sequence[Layer]) -> bool:
        """Whether its manifest has all of them; their files are not looked at."""
        return {layer.file for layer in layers} <= self.listed()

    def done(self, layers: Sequence[Layer]) -> int:
        """Rows of all of these layers that are on disk."""
        progress = self._progress()
        return min(progress.get(layer.file, 0) for layer in layers)

    @contextlib.contextmanager
    def locked(self, otherwise: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Alone in the folder; a kill frees the lock.

        otherwise: called again and again while another process has it; what waits for that one where it is False.
        """
        with self._lock() as acquired:
            while not acquired(0) and (otherwise() or not acquired(_WAIT)):
                pass
            yield

    @contextlib.contextmanager
    def tried(self, seconds: float = 0.0) -> Iterator[bool]:
        """Alone in the folder where nobody else is in so many seconds: whether it is so."""
        with self._lock() as acquired:
            yield acquired(seconds)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[Callable[[float], bool]]:
        """What acquires the folder's lock in so many seconds, and says whether; it is released at the end."""
        with writing(self.path, ELSEWHERE.format(_ADVICE)):
            self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / "lock")

        def acquired(seconds: float) -> bool:
            with writing(self.path, ELSEWHERE.format(_ADVICE)):
                try:
                    lock.acquire(timeout=seconds)
                except Timeout:
                    return False
            return True

        try:
            yield acquired
        finally:
            lock.release()

    def fill(
        self,
        layers: Sequence[Layer],
        ids: np.ndarray,
        about: Mapping[str, Any],
        batches: Callable[[int], Iterator[Rows]],
    ) -> None:
        """Make `layers`, under the lock: go on where a killed process stopped, then list them in the manifest.

        about: what the manifest says besides. batches: number of rows done -> the others' values, always in the same
        order. Raises UserError where the disk is full.
        """
        with writing(self.path, ELSEWHERE.format(_ADVICE)):
            progress = self._progress()
            arrays = {layer: self._partial(layer, progress) for layer in layers}
            done = min(progress.get(layer.file, 0) for layer in layers)
            flushed = time.monotonic()
            for rows, values in batches(done):
                for layer, array in arrays.items():
                    array[rows] = values[layer.name].view(array.dtype)
                done += len(rows)
                if time.monotonic() - flushed >= FLUSH_SECONDS:
                    self._record(arrays, progress, done)
                    flushed = time.monotonic()
            self._record(arrays, progress, done)
            self._finish(layers, progress, ids, about)

    def _progress(self) -> dict[str, int]:
        rows = _read(self.path / "progress.json").get("rows")
        rows = rows if isinstance(rows, dict) else {}
        return {name: done for name, done in rows.items() if type(done) is int and done >= 0}

    def _partial(self, layer: Layer, progress: dict[str, int]) -> np.memmap:
        """The array to fill: what another process left of it, or a new one."""
        path, whole = self._partial_path(layer), self.path / layer.file
        if (
            layer.file in progress
            and layer.file not in self.listed()
            and whole.exists()
            and not path.exists()
        ):
            whole.replace(path)  # a process was killed between giving it its name and listing it
        if layer.file in progress and _mapped(path, layer) is not None:
            return np.lib.format.open_memmap(
                path, mode="r+"
            )  # which would lengthen a file that was cut short
        progress.pop(layer.file, None)
        try:
            return create(path, layer.shape, _STORED[layer.dtype], _ADVICE)
        except UserError:
            path.unlink(missing_ok=True)
            raise

    def _partial_path(self, layer: Layer) -> Path:
        return self.path / f"{layer.file}.partial"

    def _record(self, arrays: Mapping[Layer, np.memmap], progress: dict[str, int], done: int) -> None:
        """After the rows themselves are on disk, that they are."""
        for layer, array in arrays.items():
            array.flush()
            progress[layer.file] = max(done, progress.get(layer.file, 0))
        _write(self.path / "progress.json", {"rows": progress})

    def _finish(
        self, layers: Sequence[Layer], progress: dict[str, int], ids: np.ndarray, about: Mapping[str, Any]
    ) -> None:
        np.save(self.path / "ids.npy", ids)
        sums = {layer.file: content_sum(self._partial_path(layer)) for layer in layers}
        for layer in layers:
            self._partial_path(layer).replace(self.path / layer.file)
            del progress[layer.file]
        made = {layer.file: {**layer.record(), _SUM: sums[layer.file]} for layer in layers}
        listed = _listed(self.path) | made
        _write(self.path / "manifest.json", {**about, "rows": len(ids), "layers": listed})
        _write(self.path / "progress.json", {"rows": progress})


def _mapped(path: Path, layer: Layer) -> np.memmap | None:
    return mapped(path, layer.shape, _STORED[layer.dtype])


def _summed(path: Path) -> str | None:
    """Of the file's content; None where it cannot be read to its end."""
    try:
        return content_sum(path)
    except OSError:
        return None


def _listed(folder: Path) -> dict[str, Any]:
    """{file: its record} of a folder's manifest."""
    layers = _read(folder / "manifest.json").get("layers")
    return layers if isinstance(layers, dict) else {}


def _read(path: Path) -> dict[str, Any]:
    """A JSON file of ours; {} where there is none or it is not whole."""
    try:
        data = read_json(path)
    except UserError:
        return {}
    return data if data.get("schema") == SCHEMA else {}


def _write(path: Path, data: Mapping[str, Any]) -> None:
    write_json(path, {"schema": SCHEMA, **data})
