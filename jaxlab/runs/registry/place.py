"""Where a registry is: beside the runs, or at the URL of a database for several machines.

Nothing here imports SQLAlchemy: training asks for the place as it begins, and opens it at the first checkpoint.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from jaxlab.core.files import read_json
from jaxlab.core.passwords import without_passwords
from jaxlab.core.types import UserError

VARIABLE = "JAXLAB_REGISTRY"
FILE = "registry.sqlite"
OFF = "off"
_URL = re.compile(r"(?:sqlite|postgresql)(?:\+\w+)?://.*")
_GIVEN: ContextVar[str | None] = ContextVar("registry", default=None)


@dataclass(frozen=True)
class Place:
    """url: SQLAlchemy's. beside: the folder that the runs and the registry lie in; None for one at a URL.

    Beside its runs a registry names them by their path within the folder, so that all of it may be moved; one at a URL
    by their whole path, which is to be the same on all machines.
    """

    url: str
    beside: Path | None = None

    def name(self, run: Path) -> str:
        """What the registry calls the run directory."""
        path = absolute(run)
        if self.beside is not None and path.is_relative_to(self.beside):
            return path.relative_to(self.beside).as_posix()
        return path.as_posix()

    def path(self, name: str) -> Path:
        """The inverse."""
        return Path(name) if self.beside is None else self.beside / name

    def __str__(self) -> str:
        """Without a password."""
        return without_passwords(self.url) if self.beside is None else str(self.beside / FILE)


def absolute(path: Path) -> Path:
    """Without `..`; links stay."""
    return Path(os.path.normpath(path.absolute()))


@contextlib.contextmanager
def registry_at(url: str | None) -> Iterator[None]:
    """While the registry is the one that a command's option names. Raises UserError for what is none."""
    if url is not None:
        _checked(url, "--registry")
    token = _GIVEN.set(url or _GIVEN.get())
    try:
        yield
    finally:
        _GIVEN.reset(token)


def place_of(folder: Path) -> Place | None:
    """The registry of the runs in a folder; None where there is to be none. Raises UserError for a URL that is none."""
    given = _GIVEN.get()
    url = _checked(given, "--registry") if given else _checked(os.environ.get(VARIABLE) or "", VARIABLE)
    if url == OFF:
        return None
    if url:
        return Place(url)
    folder = absolute(folder)
    return Place(f"sqlite:///{folder / FILE}", folder)


def place_for(run: Path) -> Place | None:
    """That of a run directory, which may lie in the one of a study: beside the outermost."""
    return place_of(outermost(run).parent)


def folder_of_runs(folder: Path) -> Path:
    """That folder, or what is outside of a run, where it is one. Raises UserError where there is no such folder."""
    if not folder.is_dir():
        raise UserError(
            f"{folder}: expected a folder of runs, found {'a file' if folder.exists() else 'nothing there'}"
        )
    return outermost(folder).parent if is_run(folder) else absolute(folder)


def outermost(run: Path) -> Path:
    """The run directory that `run` is a part of, else itself."""
    path = absolute(run)
    while is_run(path.parent):
        path = path.parent
    return path


def is_run(folder: Path) -> bool:
    """Whether it is a run directory, be it one that is only begun: then its lock says so."""
    for name, field in (("config.json", "experiment"), ("lock", "pid")):
        with contextlib.suppress(UserError):
            if field in read_json(folder / name):
                return True
    return False


def _checked(url: str, where: str) -> str:
    if url in ("", OFF) or _URL.fullmatch(url):
        return url
    raise UserError(
        f"{where}: expected a URL such as postgresql+psycopg://USER@HOST/DATABASE or "
        f"sqlite:////FOLDER/registry.sqlite, or {OFF}, found {without_passwords(url)!r:.80}"
    )
