"""A run directory: what was asked for, with what it was made, and where its parts lie."""

import importlib.metadata
import io
import platform
import subprocess
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from jaxlab.core.beside import KEPT
from jaxlab.core.files import check_form, read_json, write_json, write_whole, writing
from jaxlab.core.lock import check_held
from jaxlab.core.types import UserError
from jaxlab.training import copies
from jaxlab.training.records import Info, Record

SCHEMA = 1
_PACKAGES = ("jaxlab", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")


@dataclass(frozen=True)
class RunDirectory:
    """Paths in a run directory, and its two JSON files."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def profile(self) -> Path:
        return self.path / "profile"

    def predictions(self, split: str) -> Path:
        return self.path / "predictions" / f"{split}.npz"

    def plot(self, name: str) -> Path:
        return self.path / "plots" / f"{name}.png"

    def exists(self) -> bool:
        return (self.path / "config.json").is_file()

    def config(self) -> dict[str, Any]:
        """config.json. Raises UserError where this is no run directory or another version's."""
        data = self._read("config.json")
        if not isinstance(data.get("experiment"), dict):
            raise UserError(
                f"{self.path / 'config.json'}: expected an experiment, found {data.get('experiment')!r:.60}"
            )
        if not isinstance(data["experiment"].get("type"), str):
            raise UserError(
                f"{self.path / 'config.json'}: expected the experiment's type, found "
                f"{data['experiment'].get('type')!r:.60}"
            )
        return data["experiment"]

    def info(self) -> dict[str, Any]:
        """run.json, likewise."""
        return self._read("run.json", Info)

    def create(self, experiment: dict[str, Any], source: str | None, info: dict[str, Any]) -> None:
        """Write config.json, config.py (the source, where there is one) and run.json; then copies of the two.

        The modules of a `ConfigText` lie beside config.py.

        Raises UserError where the disk refuses, or the directory in which this process trains was moved away.
        """
        check_held(self.path)
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            for name, text in getattr(source, "modules", {}).items():
                (self.path / KEPT / name).parent.mkdir(parents=True, exist_ok=True)
                write_whole(self.path / KEPT / name, _encoded(text))
            if source is None:
                (self.path / "config.py").unlink(missing_ok=True)
            else:
                write_whole(self.path / "config.py", _encoded(source))
            write_json(self.path / "run.json", {"schema": SCHEMA, **info})
            write_json(self.path / "config.json", {"schema": SCHEMA, "experiment": experiment})
            copies.keep(self.path, "config.json", "run.json")

    def _read(self, name: str, form: type[BaseModel] | None = None) -> dict[str, Any]:
        file = self.path / name
        try:
            file.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(
                f"{self.path} is not a run directory: it has no {name} (`jaxlab train` makes one)"
            ) from None
        except OSError:
            pass  # it says why, as it is read
        try:
            data = self._whole(file, form)
        except UserError as error:
            if not copies.mended(file, error):
                raise
            return self._whole(file, form)
        return self._whole(file, form) if copies.mended(file, None) else data

    def _whole(self, file: Path, form: type[BaseModel] | None) -> dict[str, Any]:
        data = read_json(file)
        if data.get("schema") != SCHEMA:
            raise UserError(f"{file}: expected schema {SCHEMA}, found {data.get('schema')!r:.60}")
        if form is not None:
            check_form(file, data, form)
        return Record.of(file, data)


def _encoded(source: str) -> bytes:
    """The inverse."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(source.encode("utf-8")).readline)
    return source.encode(encoding)


def provenance() -> dict[str, Any]:
    """Versions, commit and machine that a record was made with."""
    versions = {name: _version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), "versions": versions, "commit": _commit()}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The git commit of jaxlab's checkout, else of the folder the command runs in; `+changes` where files differ."""
    for folder in (Path(__file__).parent, Path()):
        try:
            head = _git(folder, "rev-parse", "HEAD")
            return head + (
                "+changes" if _git(folder, "status", "--porcelain", "--untracked-files=no") else ""
            )
        except (OSError, subprocess.SubprocessError):
            continue
    return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    found = subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="replace", check=True, timeout=10
    )
    return found.stdout.strip()
