"""The copy of a store's run directory in the cache: brought up to date, and sent after each save.

$JAXLAB_CACHE/stores/s3/BUCKET/RUN         the copy
$JAXLAB_CACHE/stores/s3/BUCKET/.RUN.json   what is known of the store's files, and of ours that were sent

Who trains leaves a mark of its own in the store. Where it is still there, nobody else has trained since, and the copy
is as new as the store or newer: it goes on from what it could not send. Else the store's files count.
"""

import contextlib
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock

from jaxlab.core.files import read_json, write_json, writing
from jaxlab.core.folders import remove
from jaxlab.core.holder import is_alive, is_here
from jaxlab.core.lock import InUse
from jaxlab.core.remote.lease import NAME as LEASE
from jaxlab.core.remote.lease import Lease
from jaxlab.core.remote.names import (
    MANIFEST,
    MARK,
    first_manifest,
    is_anybodys,
    is_private,
    is_whole,
    last_manifest,
    step_of,
)
from jaxlab.core.remote.store import Store, checked
from jaxlab.core.store import cache_dir
from jaxlab.core.types import FileWarning, UserError

_NEXT = "next"  # the mark that is about to be written
_MIRRORS: dict[Path, "Mirror"] = {}


def mirror_at(url: str) -> "Mirror":
    """That of a URL, one in a process. Raises UserError for one that `checked` refuses."""
    scheme, _, rest = checked(url).partition("://")
    local = cache_dir().absolute() / "stores" / scheme / rest
    return _MIRRORS.setdefault(local, Mirror(url, local))


def mirror_of(path: Path) -> "Mirror | None":
    """That of a run directory, or of the study that it is in; None of one that is in no store."""
    stores = (cache_dir() / "stores").absolute()
    path = path.absolute()
    if not path.is_relative_to(stores):
        return None
    for folder in (path, *path.parents):
        if folder == stores:
            return None
        if _state_file(folder).exists():
            scheme, *rest = folder.relative_to(stores).parts
            return mirror_at(f"{scheme}://{'/'.join(rest)}")
    return None


def copies(folder: Path) -> set[Path]:
    """Those of runs in a folder of the cache."""
    return {file.with_name(file.name[1:-5]) for file in folder.rglob(".*.json")}


def _state_file(local: Path) -> Path:
    return local.with_name(f".{local.name}.json")


class Mirror:
    """A run directory at `url`, and its copy, `local`. Methods raise UserError where the store cannot be had."""

    def __init__(self, url: str, local: Path):
        self.url, self.local = url, local
        self._store = Store(url)
        self._lease: Lease | None = None
        self._refused = False

    # -- from the store

    def fetch(self, wanted: Callable[[str], bool] = lambda name: True) -> Path:
        """Make the copy what the store has, and return it. wanted: of which files.

        Raises UserError where there is nothing at the URL.
        """
        if not self.update(wanted):
            raise UserError(f"{self.url}: expected a run directory, found nothing there")
        return self.local

    def update(self, wanted: Callable[[str], bool] = lambda name: True) -> bool:
        """The same; False where there is nothing. What the copy had sent or fetched is gone then."""
        with self._alone():
            state = self._state()
            if self._is_ours(state) or self._is_training() or self._bring(state, wanted):
                return True
            with writing(self.local):
                _state_file(self.local).unlink(missing_ok=True)
        return False

    def _is_ours(self, state: dict[str, Any]) -> bool:
        """Whether nobody has trained since this copy was, which is there: a cache may be cleared."""
        marks, known = [state[name] for name in ("mark", _NEXT) if state.get(name)], state["files"]
        if not marks or ("config.json" in known and not (self.local / "config.json").exists()):
            return False
        manifests = [name for name in known if step_of(name) and name.endswith(MANIFEST)]
        if manifests and not any(self.local.glob(f"**/checkpoints/*/{MANIFEST}")):
            return False
        return self._store.read(MARK) in [mark.encode() for mark in marks]

    def _is_training(self) -> bool:
        """On this machine, in this copy."""
        try:
            holder = read_json(self.local / LEASE)
        except UserError:
            return False
        return is_here(holder) and is_alive(holder)

    def _bring(self, state: dict[str, Any], wanted: Callable[[str], bool] = lambda name: True) -> bool:
        """Whether the store has anything. The copy has it then, though a run that is trained may change meanwhile."""
        for _ in range(5):
            signs = {name: sign for name, sign in self._store.signs().items() if not is_private(name)}
            there = [name for name in signs if wanted(name) and is_whole(name, signs)]
            known = state["files"]
            whole = all(self._brought(name, signs[name], known) for name in sorted(there, key=last_manifest))
            for name in known.keys() - signs.keys():
                self._drop(name, known.pop(name))
            self._remove_checkpoints(signs)
            self._write({"files": known})
            if whole:
                return bool(signs)
        raise UserError(f"{self.url} changes more quickly than it can be fetched; try again")

    def _brought(self, name: str, sign: str, known: dict[str, Any]) -> bool:
        """Whether the copy has a file of the store; False of one that has gone meanwhile."""
        about = known.get(name, {})
        if about.get("sign") != sign or _stat(self.local / name) != about.get("stat"):
            if not self._store.fetch(name, self.local / name):
                return False
            known[name] = {"sign": sign, "stat": _stat(self.local / name)}
        return True

    def _drop(self, name: str, about: dict[str, Any]) -> None:
        """A file that the store has no longer; one that is another here by now stays."""
        if step_of(name) is None and _stat(self.local / name) == about.get("stat"):
            with writing(self.local / name):
                (self.local / name).unlink(missing_ok=True)

    def _remove_checkpoints(self, signs: dict[str, str]) -> None:
        """Those that the store has no longer, or that could not be sent before another process went on."""
        there = {step_of(name) for name in signs if is_whole(name, signs)}
        folders = (
            folder.relative_to(self.local).as_posix() for folder in self.local.glob("**/checkpoints/[0-9]*")
        )
        for step in {step for folder in folders if (step := step_of(f"{folder}/")) is not None} - there:
            with writing(self.local / step):
                remove(self.local / step)

    def show_holder(self) -> None:
        """Lay the store's lease beside the copy, so that whoever lists runs sees who trains on another machine."""
        data, file = self._store.read(LEASE), self.local / LEASE
        if data is None:
            self._drop_lock()
        elif not self._is_training():
            with writing(file):
                file.write_bytes(data)

    def _drop_lock(self) -> None:
        """One that only showed who had the lease."""
        with contextlib.suppress(UserError):
            if not is_here(read_json(self.local / LEASE)):
                (self.local / LEASE).unlink(missing_ok=True)

    # -- to the store

    def begin(self) -> None:
        """Take the run, so that nobody else trains it, and make the copy what the store has.

        Raises InUse where another process has it.
        """
        with writing(self.local):
            self.local.parent.mkdir(parents=True, exist_ok=True)
        self._lease = Lease(self._store)
        try:
            with self._alone():
                state = self._state()
                self._drop_lock()
                if not self._is_ours(state):
                    self._bring(state)
                state, mark = self._state(), uuid.uuid4().hex
                self._write({**state, _NEXT: mark})  # killed here, either mark in the store is ours
                self._store.write(MARK, mark.encode())
                self._write({"files": state["files"], "mark": mark})
        except BaseException:
            self._lease.release()
            self._lease = None
            raise

    def end(self) -> None:
        """Send what is left, and let others have the run."""
        try:
            self.send()
        except InUse:
            raise
        except UserError as error:
            raise UserError(
                f"{error}. All of it is in {self.local}: the same command on this machine sends it"
            ) from error
        finally:
            if self._lease is not None:
                self._lease.release()
                self._lease = None

    def saved(self) -> None:
        """Send what has changed; where the store refuses, training goes on, and the next save sends it.

        Raises InUse where another process has taken the run.
        """
        try:
            self.send()
            self._refused = False
        except InUse:
            raise
        except UserError as error:
            if not self._refused:
                self._refused = True
                warnings.warn(
                    f"{error}. Training goes on: what it saves is sent as soon as it can be",
                    FileWarning,
                    stacklevel=2,
                )

    def send(self) -> None:
        """Send what has changed since it was sent or fetched; who trains also removes what is here no longer.

        Without the lease these are predictions and validations alone: the rest may be older than the store's.
        """
        if self._lease is not None:
            self._lease.check()
        with self._alone():
            state = self._state()
            known = state["files"]
            names = (name for name in self._names() if self._lease or is_anybodys(name))
            here = {name: _stat(self.local / name) for name in names}
            changed = [
                name for name, stat in here.items() if stat and stat != known.get(name, {}).get("stat")
            ]
            try:
                for name in self._invalid(changed, known):
                    self._store.remove(name)
                for name in sorted(changed, key=last_manifest):
                    self._store.send(self.local / name, name)
                    known[name] = {"sign": None, "stat": here[name]}
                gone = [name for name in known.keys() - here.keys() if step_of(name)] if self._lease else []
                for name in sorted(gone, key=first_manifest):
                    self._store.remove(name)
                    del known[name]
                if changed:
                    signs = self._store.signs()
                    known |= {name: {"sign": signs.get(name), "stat": here[name]} for name in changed}
            finally:  # of a store that refused in between, what it has: it is not sent again, and removed in its time
                self._write(state)

    def _invalid(self, changed: list[str], known: dict[str, Any]) -> list[str]:
        """Manifests of checkpoints that are made again: until all is sent there is none of that step."""
        steps = {step for name in changed if (step := step_of(name)) is not None}
        return [name for step in sorted(steps) if (name := f"{step}/{MANIFEST}") in known]

    # -- both

    def _names(self) -> Iterator[str]:
        for file in list(self.local.rglob("*")):
            name = file.relative_to(self.local).as_posix()
            if not is_private(name) and file.is_file():
                yield name

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Processes of this machine bring and send one after the other."""
        with writing(self.local):
            self.local.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(_state_file(self.local).with_suffix(".lock"))
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _state(self) -> dict[str, Any]:
        """{"files": {name: {"sign", "stat"}}, "mark"}; without any where the copy is new, or the file damaged."""
        try:
            found = read_json(_state_file(self.local))
        except UserError:
            return {"files": {}}
        return found if isinstance(found.get("files"), dict) else {"files": {}}

    def _write(self, state: dict[str, Any]) -> None:
        with writing(self.local):
            self.local.mkdir(parents=True, exist_ok=True)
            write_json(_state_file(self.local), {"schema": 1, "url": self.url, **state})


def _stat(file: Path) -> list[int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return [found.st_size, found.st_mtime_ns]
