"""A run directory: what was asked for, with what it was made, and where its parts lie."""

import importlib.metadata
import json
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxlab.core.types import UserError

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
        return data["experiment"]

    def info(self) -> dict[str, Any]:
        """run.json, likewise."""
        return self._read("run.json")

    def create(self, experiment: dict[str, Any], source: str | None, info: dict[str, Any]) -> None:
        """Write config.json, config.py (the source, where there is one) and run.json; config.json last."""
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / "config.py").unlink(missing_ok=True)
        if source is not None:
            (self.path / "config.py").write_text(source)
        self._write("run.json", info)
        self._write("config.json", {"experiment": experiment})

    def _write(self, name: str, data: dict[str, Any]) -> None:
        partial = self.path / f"{name}.partial"
        partial.write_text(json.dumps({"schema": SCHEMA, **data}, indent=1) + "\n")
        partial.replace(self.path / name)

    def _read(self, name: str) -> dict[str, Any]:
        file = self.path / name
        if not file.is_file():
            raise UserError(
                f"{self.path} is not a run directory: it has no {name} (`jaxlab train` makes one)"
            )
        try:
            data = json.loads(file.read_text())
        except ValueError as error:
            raise UserError(f"{file} is not whole JSON ({error})") from None
        if not isinstance(data, dict):
            raise UserError(f"{file}: expected a JSON object, found {data!r:.60}")
        if data.get("schema") != SCHEMA:
            raise UserError(f"{file}: expected schema {SCHEMA}, found {data.get('schema')}")
        return data


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
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
