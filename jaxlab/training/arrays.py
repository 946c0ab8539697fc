"""The arrays of a checkpoint on disk: written by Orbax, seen to be complete, and read back."""

import contextlib
import errno
import logging
import math
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jaxlab.core.machine import memory
from jaxlab.core.types import UserError

Leaves = dict[str, dict[str, np.ndarray]]
_LARGE = 1 << 28  # bytes, from which on fields are read back one by one: the whole would be there twice
_RATIO = (
    1000  # times the bytes on disk, beyond which _LARGE arrays are a trap: networks pack to a half at most
)
_LATE = 1.0  # seconds in which Orbax's storage may still call back after it has failed
_OPEN = Path("/proc/self/fd")  # Linux's paths of what this process has open
_PLAIN = re.compile(r"/[\w/.+=@,~-]*", re.ASCII)


def not_finite(arrays: Leaves, limit: int = 5) -> list[str]:
    """The first `limit` parameters and batch statistics that hold a value that is not finite."""
    named = (pair for field in ("params", "stats", "ema") for pair in arrays[field].items())
    return [name for name, leaf in named if not np.isfinite(leaf).all()][:limit]


def write(folder: Path, arrays: Leaves) -> None:
    """Write `arrays` (host copies) to the new folder, and read them back.

    Raises OSError or what Orbax raises where they could not be written, UserError where they do not read back.
    """
    size = sum(leaf.nbytes for named in arrays.values() for leaf in named.values())
    _check_room(folder.parent, size)
    import orbax.checkpoint as ocp

    with quiet(), _reachable(folder) as place, _checkpointer() as orbax:
        orbax.save(place, args=ocp.args.PyTreeSave(arrays))
        for part in [arrays] if size < _LARGE else ({name: arrays[name]} for name in arrays):
            _check_same(part, _restored(orbax, place, part))


def read(folder: Path, wanted: dict[str, Any] | None = None) -> Leaves:
    """{field: {path: array}} as written. wanted: {field: paths} of those to read; default: all.

    Raises UserError, before an array is read, for a folder whose arrays fit no memory, or are all but nothing packed.
    """
    with quiet(), _reachable(folder) as place, _checkpointer() as orbax:
        tree = orbax.metadata(place).item_metadata.tree
        _check_unpacked(folder, _unpacked(tree if wanted is None else {name: tree[name] for name in wanted}))
        return orbax.restore(place) if wanted is None else _restored(orbax, place, wanted)


def _checkpointer() -> Any:
    """Orbax's, of this process alone: of several that train together each reads for itself, and one writes."""
    import orbax.checkpoint as ocp

    from jaxlab.training.hosts import current

    if current().count == 1:
        return ocp.Checkpointer(ocp.PyTreeCheckpointHandler())
    own = current().index
    alone = ocp.options.MultiprocessingOptions(
        primary_host=own, active_processes={own}, barrier_sync_key_prefix=f"process{own}"
    )
    handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=alone)
    return ocp.Checkpointer(handler, multiprocessing_options=alone)


def _restored(orbax: Any, place: Path, wanted: dict[str, Any]) -> Leaves:
    import orbax.checkpoint as ocp

    item = {field: dict.fromkeys(paths, 0) for field, paths in wanted.items()}
    return orbax.restore(place, args=ocp.args.PyTreeRestore(item=item, partial_restore=True))


def _unpacked(tree: Any) -> int:
    """Bytes in memory of the arrays in Orbax's metadata; of a chunk at least the whole, which is unpacked at once."""
    import jax

    size = 0
    for leaf in jax.tree.leaves(tree):
        kept = getattr(leaf, "storage", None)
        shapes = [getattr(leaf, "shape", None), getattr(kept, "chunk_shape", None)]
        size += (
            max(math.prod(shape or ()) for shape in shapes)
            * np.dtype(getattr(leaf, "dtype", None) or np.int64).itemsize
        )
    return size


def _check_unpacked(folder: Path, size: int) -> None:
    """Zeros pack without limit, and what Orbax's metadata names need not be there at all."""
    held, most = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()), memory()
    if size > most:
        raise UserError(
            f"{folder}: its arrays would take {size / 1e9:,.1f} GB, more than the {most / 1e9:,.1f} GB of memory here; "
            "they are not read"
        )
    if size > _LARGE and size > _RATIO * held:
        raise UserError(
            f"{folder}: its {held:,} bytes would unpack to {size:,}; a checkpoint like this is not read"
        )


def _check_same(written: Leaves, found: Leaves) -> None:
    for field, named in written.items():
        for path, leaf in named.items():
            if not _equal(leaf, np.asarray(found[field][path])):
                raise UserError(f"{field}.{path} does not read back as it was written")


def _equal(written: np.ndarray, found: np.ndarray) -> bool:
    """Bit by bit; of numbers that are no arrays, which Orbax gives back as Python's, by value."""
    if not isinstance(written, np.ndarray):
        return bool(written == found)
    return (written.shape, written.dtype) == (found.shape, found.dtype) and (
        written.tobytes() == found.tobytes()
    )


@contextlib.contextmanager
def _reachable(folder: Path) -> Iterator[Path]:
    """The folder under a path that Orbax takes, absolute and plain, and that leads to it where it is moved meanwhile.

    Orbax finds its own files by a pattern, in which [ ] * and ? stand for something else, its storage takes UTF-8
    alone, and it makes the folders above its own: a run that is moved away as it saves would come to be twice. An open
    folder goes around all that, or, where a system has no paths of those, a symbolic link around a user's names.
    """
    whole = folder.absolute()
    if _OPEN.is_dir():
        number = os.open(whole.parent, os.O_PATH)
        try:
            yield _OPEN / str(number) / whole.name
        finally:
            os.close(number)
    elif _PLAIN.fullmatch(str(whole)):
        yield whole
    else:
        with tempfile.TemporaryDirectory(prefix="jaxlab-") as place:
            (link := Path(place) / "link").symlink_to(whole.parent, target_is_directory=True)
            yield link / whole.name


def _check_room(folder: Path, size: int) -> None:
    """Before Orbax, whose storage finds out in the middle of an array."""
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Orbax logs a traceback of each error that it raises too, and its storage calls back when nobody listens."""
    logger, hook = logging.getLogger("absl"), sys.unraisablehook
    before, logger.disabled = logger.disabled, True
    sys.unraisablehook = partial(_unless_late, hook)
    try:
        yield
    except UserError:  # of ours, not of Orbax
        raise
    except BaseException:
        time.sleep(_LATE)
        raise
    finally:
        logger.disabled, sys.unraisablehook = before, hook


def _unless_late(hook: Callable[[Any], Any], said: Any) -> None:
    if str(said.exc_value) != "Event loop is closed":
        hook(said)
