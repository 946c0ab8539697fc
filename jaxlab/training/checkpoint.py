"""Orbax checkpoints written in the background, each with a manifest of SHA-256 sums that a restore verifies.

checkpoints/<step>/state/         Orbax: {field: {path: array}}, host arrays, so any device count can restore it
checkpoints/<step>/meta.json      step, epoch, metrics, loop state, digest, shape and dtype of each leaf
checkpoints/<step>/manifest.json  {file: SHA-256}, written last, before the folder gets its name

A checkpoint is written under a temporary name and renamed when it is whole: a killed process or a full disk
leaves the earlier ones as they were.

Orbax writes and reads the arrays; its CheckpointManager does not keep the checkpoints, because it changes files after
the last moment at which a manifest could be written, removes under a checkpoint's name, refuses to write a damaged step
anew, and would remove the one that a run went on from (tests/training/test_orbax.py asks both).
"""

import contextlib
import hashlib
import json
import os
import re
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxlab.core.files import read_json, writing
from jaxlab.core.folders import remove
from jaxlab.core.lock import check_held
from jaxlab.core.types import UserError
from jaxlab.training import arrays as orbax
from jaxlab.training import elsewhere
from jaxlab.training.arrays import Leaves
from jaxlab.training.records import Manifest, Meta, Record

_PARTIAL = ".partial"
_OF_THE_RUN = ("schema", "digest", "leaves", elsewhere.AWAITS)  # what a copy's meta.json says anew, or not
_PREDICTING = ("params", "ema", "stats", "constants")  # the fields that predicting reads


@dataclass(frozen=True)
class Saved:
    """One checkpoint on disk."""

    path: Path

    @property
    def step(self) -> int:
        return int(self.path.name)

    def meta(self) -> dict[str, Any]:
        """Its meta.json. Raises UserError where that is not whole, or not a checkpoint's."""
        file = self.path / "meta.json"
        return Record.of(file, read_json(file, Meta))

    def fault(self) -> str | None:
        """What is wrong with its files against the manifest, or None."""
        try:
            listed = read_json(self.path / "manifest.json", Manifest)["files"]
            for name, expected in listed.items():
                file = self.path / name
                if not file.is_file():
                    return f"{file} is missing"
                if _sha256(file) != expected:
                    return f"{file} does not have the SHA-256 that its manifest gives"
            if "meta.json" in listed:
                self.meta()
        except UserError as error:
            return str(error)
        except OSError as error:
            return f"{error.filename or self.path} cannot be read ({_reason(error)})"
        return None

    def arrays(self, only: tuple[str, ...] | None = None) -> Leaves:
        """{field: {path: array}} as saved, on the host; `only` some fields.

        Raises UserError where they cannot be read.
        """
        leaves = self.meta()["leaves"]
        try:
            wanted = None if only is None else {field: leaves[field] for field in only}
            return orbax.read(self.path / "state", wanted)
        except UserError:
            raise
        except Exception as error:  # of Orbax and its storage, by what is damaged
            raise UserError(f"{self.path}: its arrays cannot be read ({_reason(error)})") from error


def saved(folder: Path) -> list[Saved]:
    """The whole checkpoints under `folder`, oldest first. Raises UserError where the disk does not let one look."""
    try:
        found = [Saved(path) for path in folder.iterdir() if _is_step(path.name) and path.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UserError(f"{error.filename or folder} cannot be read ({_reason(error)})") from error
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def _is_step(name: str) -> bool:
    """0, 1, 2, ...: not 007, and not another script's digits."""
    return name.isascii() and name.isdigit() and str(int(name)) == name


def copy_for_predicting(checkpoint: Saved, folder: Path) -> None:
    """Write a copy under `folder` without what only training needs, such as optimizer state."""
    meta = checkpoint.meta()
    kept = [field for field in _PREDICTING if field in meta["leaves"]]
    arrays: Leaves = {field: {} for field in kept}
    arrays |= checkpoint.arrays(tuple(field for field in kept if meta["leaves"][field]))
    about = {name: value for name, value in meta.items() if name not in _OF_THE_RUN}
    folder.mkdir(parents=True, exist_ok=True)
    _write_folder(folder / str(checkpoint.step), arrays, about)


def newest_good(folder: Path, warn: Any, up_to: int | None = None) -> Saved | None:
    """The newest checkpoint (up to a step) that is as it was written; `warn` is told of each that is not."""
    for checkpoint in reversed([c for c in saved(folder) if up_to is None or c.step <= up_to]):
        fault = checkpoint.fault()
        if fault is None:
            return checkpoint
        warn(f"checkpoint {checkpoint.step} is damaged ({fault}); trying the one before it")
    return None


class Checkpoints:
    """Writes and keeps checkpoints: the last, the best by the run's metric, and every `keep_every` steps.

    Those that others have yet to validate stay, too (`elsewhere`).
    The one before the last stays too: it is what a run goes on from if the last turns out to be damaged.
    """

    def __init__(
        self, folder: Path, keep_every: int | None = None, warn: Callable[[str], None] = lambda line: None
    ):
        """warn: is told of what an earlier checkpoint left that could not be removed.

        Makes the folder, in one that is there. Raises UserError where the disk refuses.
        """
        self.folder = folder
        self.keep_every = keep_every
        self._warn = warn
        self._worker = ThreadPoolExecutor(1, "checkpoint")
        self._pending: Future[None] | None = None
        with writing(folder):
            folder.mkdir(exist_ok=True)  # in the run's, which is there: it may have been moved away meanwhile
        for left in folder.glob(f"*{_PARTIAL}"):
            _removed(left, self._warn)

    def save(
        self, arrays: Leaves, meta: dict[str, Any], then: Callable[[Saved], None] = lambda checkpoint: None
    ) -> None:
        """Start writing `arrays` (host copies) as step meta["step"]; waits for an earlier write first.

        then: is called, by the thread that writes, when the checkpoint is there.
        Raises UserError where the earlier write failed (disk full): the last good checkpoint stays; InUse where another
        process has taken the run meanwhile.
        """
        self.wait()
        self._pending = self._worker.submit(self._write, arrays, meta, then)

    def wait(self) -> None:
        """Until everything asked for is on disk. Raises UserError where it could not be written."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        """Wait, and end the writer."""
        try:
            self.wait()
        finally:
            self._worker.shutdown()

    def _write(self, arrays: Leaves, meta: dict[str, Any], then: Callable[[Saved], None]) -> None:
        check_held(self.folder.parent)
        final = self.folder / str(meta["step"])
        partial = final.with_name(final.name + _PARTIAL)
        try:
            remove(partial)
            _write_folder(partial, arrays, meta)
            remove(final)  # a damaged one of the same step, made again after a resume
            partial.rename(final)
        except Exception as error:
            with contextlib.suppress(OSError):
                remove(partial)
            kept = saved(self.folder)
            last = f"the last good one is step {kept[-1].step}" if kept else "there is none before it"
            why = _reason(error) if self.folder.is_dir() else f"{self.folder} was removed meanwhile"
            raise UserError(f"checkpoint {final} could not be written ({why}); {last}") from error
        retain(self.folder, meta, self.keep_every, self._warn)
        then(Saved(final))


def retain(
    folder: Path, meta: Mapping[str, Any], keep_every: int | None, warn: Callable[[str], None]
) -> None:
    """Remove the checkpoints that are needed no more, where the one of this meta.json is the last.

    warn: is told of one that could not be removed.
    """
    found = saved(folder)
    chosen = elsewhere.best_of(folder.parent, found, meta) or {}
    before = [checkpoint.step for checkpoint in found if checkpoint.step < meta["step"]]
    keep = {meta["step"], chosen.get("step"), *before[-1:]}
    if elsewhere.AWAITS in meta:
        awaiting = {*before, meta["step"]} - elsewhere.validated(folder.parent, found).keys()
        keep |= awaiting
    for checkpoint in found:
        every = keep_every is not None and checkpoint.step % keep_every == 0
        if checkpoint.step not in keep and not every:
            _removed(checkpoint.path, warn)


def _removed(path: Path, warn: Callable[[str], None]) -> None:
    """Renamed first: a kill in mid-removal leaves nothing that looks like a checkpoint.

    By a name of its own: another process may remove it as well, or write one of the same step.
    """
    doomed = (
        path if path.name.endswith(_PARTIAL) else path.with_name(f"{path.name}.{uuid.uuid4().hex}{_PARTIAL}")
    )
    try:
        if doomed != path:
            path.rename(doomed)
        remove(doomed)
    except FileNotFoundError:
        pass  # another process has
    except OSError as error:  # what is saved is saved
        warn(f"warning: {path} is needed no more, but could not be removed ({_reason(error)})")


def _write_folder(folder: Path, arrays: Leaves, meta: dict[str, Any]) -> None:
    from jaxlab.core import tree

    folder.mkdir()
    orbax.write(folder / "state", arrays)
    leaves = {
        field: {path: [list(leaf.shape), str(leaf.dtype)] for path, leaf in named.items()}
        for field, named in arrays.items()
    }
    meta = {"schema": 1, **meta, "digest": tree.digest(arrays["params"]), "leaves": leaves}
    _write_json(folder / "meta.json", meta)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = {str(path.relative_to(folder)): _sha256(path) for path in files}
    _write_json(folder / "manifest.json", {"schema": 1, "files": sums})


def _reason(error: BaseException) -> str:
    """The operating system's words where there are some, wherever in the chain of causes."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        if code := re.search(r"os_error_code='(\d+)'", str(cause)):  # Orbax's storage is not Python
            return os.strerror(int(code[1]))
        cause = cause.__cause__ or cause.__context__
    return f"{str(error).splitlines()[0]:.200}" if str(error) else type(error).__name__


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_json(path: Path, data: dict[str, Any]) -> None:
    with path.open("w", encoding="utf-8") as file:
        json.dump(data, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
