"""What training tells the registry: a row at each checkpoint, a sign of life in between, and how it ended.

All of it happens in other threads than the one that trains. The run directory has the same; so that a registry that
refuses is worth a warning, and nothing more.
"""

import os
import platform
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from jaxlab.core.types import UserError
from jaxlab.runs.registry.place import OFF, VARIABLE, Place, is_run, place_for
from jaxlab.runs.registry.records import RunRecord, SnapshotRecord, State, Status
from jaxlab.training import elsewhere
from jaxlab.training.checkpoint import Saved, saved

if TYPE_CHECKING:
    from jaxlab.runs.registry.store import Registry

BEATS = 30.0  # seconds between two signs of life
_PATIENCE = 1.0  # seconds to wait for others that write
_PAUSE = 60.0  # seconds without another try, after the registry has refused


class Reports:
    """One training's. Use it as a context manager; call it with each checkpoint, once that is on disk.

    warn: is told, once, of a registry that refuses.
    """

    def __init__(self, run: Path, warn: Callable[[str], None], place: Place | None = None):
        """place: default that of the run. Raises UserError for a registry's URL that is none."""
        self._run, self._warn = run, warn
        self._place = place or place_for(run)
        self._registry: Registry | None = None
        self._record: RunRecord | None = None
        self._warned = False
        self._not_before = 0.0
        self._lock = threading.Lock()
        self._over = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._over.set()
        if self._registry is not None:
            self._not_before = 0.0
            self._try(lambda: self._note_whole("failed" if isinstance(error, Exception) else None))
            with self._lock:
                self._registry.close()

    def __call__(self, checkpoint: Saved, scores: Mapping[str, float] | None) -> None:
        """A checkpoint is there. scores: of its validation, where training has validated it."""
        self._try(lambda: self._note(checkpoint, scores))

    def _try(self, do: Callable[[], None]) -> None:
        if self._place is None or time.monotonic() < self._not_before:
            return
        try:
            with self._lock:
                do()
        except Exception as error:  # whatever it is, training goes on
            self._not_before = time.monotonic() + _PAUSE
            self._record = None  # what it has not been told is told as a whole, the next time
            if not self._warned:
                self._warned = True
                self._warn(_refused(error))

    def _note(self, checkpoint: Saved, scores: Mapping[str, float] | None) -> None:
        registry, record = self._opened(), self._record
        if record is None:
            self._note_whole()
            return
        meta = checkpoint.meta()
        best = None if elsewhere.AWAITS in meta else (meta["progress"]["best"] or {}).get("step")
        status: Status = "pending" if scores is None else "validated"
        new = SnapshotRecord(
            meta["step"], meta["epoch"], status, meta["digest"], elsewhere.finite(scores or {})
        )
        at = {"step": meta["step"], "epoch": meta["epoch"], "best": best, "beat": time.time()}
        self._record = replace(record, snapshots=(new,), **at)
        registry.note([(self._record, [one.step for one in saved(checkpoint.path.parent)])])

    def _note_whole(self, state: State | None = None) -> None:
        """All that the run directory has, and its study. state: how it ended, where that is not to be seen."""
        from jaxlab.runs.registry.scan import scanned

        registry = self._opened()
        record, there = scanned(self._run, over=self._over.is_set())
        if not self._over.is_set():
            state = "training"
        state = state or record.state
        record = replace(record, beat=time.time(), state=state, host=platform.node(), pid=os.getpid())
        noted = [(record, there)]
        if is_run(self._run.parent) and (self._run.parent / "config.json").is_file():
            noted.append(scanned(self._run.parent))
        registry.note(noted)
        self._record = record

    def _opened(self) -> "Registry":
        """Open it the first time, and begin to give signs of life."""
        from jaxlab.runs.registry.store import Registry

        if self._registry is None:
            assert self._place is not None
            self._registry = Registry(self._place, _PATIENCE)
            threading.Thread(target=self._live, name="registry", daemon=True).start()
        return self._registry

    def _live(self) -> None:
        while not self._over.wait(BEATS):
            self._try(lambda: self._opened().beat(self._run))


def conclude(run: Path, warn: Callable[[str], None]) -> None:
    """Note a run whose training is over, and those within it; of a registry that refuses `warn` is told."""
    place = place_for(run) if (run / "config.json").is_file() else None
    if place is None:
        return
    try:
        from jaxlab.runs.registry.scan import run_directories, scanned
        from jaxlab.runs.registry.store import Registry

        registry = Registry(place, _PATIENCE)
        registry.note([scanned(one) for one in run_directories(run)])
        registry.close()
    except Exception as error:  # whatever it is, training goes on
        warn(_refused(error))


def _refused(error: Exception) -> str:
    told = str(error) if isinstance(error, UserError) else f"the registry: {type(error).__name__}: {error}"
    return (
        f"warning: {told}. Training goes on: run directories have all that a registry has (`jaxlab runs --rescan`; "
        f"{VARIABLE}={OFF} does without)"
    )
