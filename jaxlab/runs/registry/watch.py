"""Validating the snapshots that nobody has validated yet: alone, or as one of several watchers."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from jaxlab.core.types import UserError
from jaxlab.runs.registry.claims import BEATS, Claim, Claims
from jaxlab.runs.registry.scan import all_scanned, last_meta, run_directories
from jaxlab.runs.registry.store import Registry, RegistryError, mark_gone
from jaxlab.training import elsewhere
from jaxlab.training.checkpoint import retain, saved
from jaxlab.training.interrupt import Interrupt
from jaxlab.training.rundir import RunDirectory

POLL = 5.0  # seconds between two looks for new snapshots
RESCAN = 60.0  # seconds between two looks at run directories, for what a killed trainer has not told


class Validate(Protocol):
    """What finds a checkpoint's validation scores."""

    def __call__(self, run: Path, step: int) -> tuple[Mapping[str, Any], Mapping[str, float]]:
        """Its meta.json, and the scores. Raises UserError where they cannot be had."""
        ...


@dataclass
class Outcome:
    """validated: how many are, by this watcher. failed: {snapshot: why not}. left: others have them, or they failed."""

    validated: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    left: int = 0


class Stop(Interrupt):
    """Whether a signal asked for the end: after the first, `interrupted` blocks end at once; others go on to theirs."""

    def __init__(self) -> None:
        super().__init__()
        self._inside = False

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        if self._inside:
            self._inside = False
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def interrupted(self) -> Iterator[None]:
        self._inside = True
        try:
            if self.asked:
                raise KeyboardInterrupt
            yield
        finally:
            self._inside = False


@dataclass
class Watcher:
    """folder: of the runs, or one of them. say: is told a line for each snapshot. validate: finds its scores."""

    registry: Registry
    folder: Path
    validate: Validate
    say: Callable[[str], None]
    poll: float = POLL
    beats: float = BEATS

    def __post_init__(self) -> None:
        name = self.registry.place.name(self.folder)
        self._claims = Claims(self.registry, "" if name == "." else name)
        self._outcome = Outcome()
        self._leaving: set[int] = set()
        self._run: int | None = None

    def run(self, watch: bool = False) -> Outcome:
        """Validate all that is pending; watch: and what comes, until a signal asks for the end.

        Without it also ends with a signal, and what is left.
        """
        scanned_at = 0.0
        with Stop() as stop:
            while not stop.asked:
                with self._patient(watch):
                    if time.monotonic() - scanned_at > RESCAN or not scanned_at:
                        note_directories(self.registry, self.folder)
                        scanned_at = time.monotonic()
                    while not stop.asked and (claim := self._claims.take(self._leaving, self._run)):
                        self._one(claim, stop)
                if not watch:
                    break
                with contextlib.suppress(KeyboardInterrupt), stop.interrupted():
                    time.sleep(self.poll)
        with self._patient(True):
            self._outcome.left = self._claims.left()
        return self._outcome

    @contextlib.contextmanager
    def _patient(self, watch: bool) -> Iterator[None]:
        """A registry that refuses is tried again by who watches."""
        try:
            yield
        except RegistryError as error:
            if not watch:
                raise
            self.say(f"warning: {error}; trying again")

    def _one(self, claim: Claim, stop: Stop) -> None:
        """Validate a snapshot that is ours, or give it back."""
        name = f"{self.registry.place.name(claim.path)} step {claim.step}"
        released = False
        try:
            with self._alive(claim):
                found = self._known(claim)
                if found is None:
                    with stop.interrupted():
                        meta, scores = self.validate(claim.path, claim.step)
                    elsewhere.keep(claim.path, meta, scores)
                    found = elsewhere.kept_at(claim.path, claim.step)
                    if found is None:  # training goes on from before it, and makes it again
                        return
                    self._outcome.validated += 1
                    self.say(f"{name}: {_shown(meta, scores)}")
                self._run = claim.run
                self._claims.finish(claim, found.scores, lambda: _best(claim.path))
                self._retain(claim)
                released = True
        except KeyboardInterrupt:
            if not stop.asked:
                raise
        except RegistryError:
            raise
        except UserError as error:
            if not (claim.path / "checkpoints" / str(claim.step)).is_dir():
                self._claims.gone(claim)  # training needed it no more; it may make it again
                released = True
                return
            self._leaving.add(claim.snapshot)
            self._outcome.failed[name] = str(error)
            self._claims.release(claim, str(error)[:2000])
            released = True
            self.say(f"warning: {name} could not be validated: {error}")
        except (
            Exception
        ) as error:  # a fault of ours, or no memory: whoever reads the traceback is told of what
            error.add_note(f"while validating {name}")
            raise
        finally:
            if not released:
                with contextlib.suppress(RegistryError):  # others take it over, in the end
                    self._claims.release(claim)

    def _known(self, claim: Claim) -> elsewhere.Validation | None:
        """What somebody has left in the run directory, who was killed before the registry knew."""
        here = [one for one in saved(claim.path / "checkpoints") if one.step == claim.step]
        return elsewhere.validated(claim.path, here).get(claim.step)

    def _retain(self, claim: Claim) -> None:
        """Remove checkpoints that stayed for being validated alone."""
        run = claim.path
        last = last_meta(saved(run / "checkpoints"))
        if elsewhere.AWAITS in last:
            retain(run / "checkpoints", last, _keep_every(run), self.say)
            with self.registry.writing() as db:
                mark_gone(db, claim.run, [one.step for one in saved(run / "checkpoints")])

    @contextlib.contextmanager
    def _alive(self, claim: Claim) -> Iterator[None]:
        """While signs of life are given."""
        over = threading.Event()

        def live() -> None:
            while not over.wait(self.beats):
                with contextlib.suppress(RegistryError):
                    self._claims.beat(claim)

        thread = threading.Thread(target=live, name="claim", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def note_directories(registry: Registry, folder: Path) -> list[str]:
    """Make the registry say what run directories say, in place of whatever it said. Returns what could not be read."""
    found, amiss = all_scanned(run_directories(folder))
    registry.note(found)
    there = {registry.place.name(record.path) for record, _ in found}
    name = registry.place.name(folder)
    registry.forget([one for one in registry.names("" if name == "." else name) if one not in there])
    return amiss


def _keep_every(run: Path) -> int | None:
    """Which of its checkpoints stay, validated or not."""
    every = (RunDirectory(run).config().get("training") or {}).get("keep_every")
    return every if isinstance(every, int) and every > 0 else None


def _best(run: Path) -> int | None:
    """The step of the run's best checkpoint, as it predicts."""
    checkpoints = saved(run / "checkpoints")
    last = last_meta(checkpoints)
    found = elsewhere.best_of(run, checkpoints, last) if last else None
    return found["step"] if found else None


def _shown(meta: Mapping[str, Any], scores: Mapping[str, float]) -> str:
    """The loss and the score that chooses, in a line."""
    first = meta.get(elsewhere.AWAITS) or next(
        (name for name in ("pearson", "accuracy") if name in scores), "loss"
    )
    shown = {name: scores[name] for name in dict.fromkeys(("loss", first)) if name in scores}
    return "  ".join(f"{name} {value:.4f}" for name, value in shown.items())
