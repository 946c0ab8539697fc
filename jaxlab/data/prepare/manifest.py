"""The manifest of a prepared dataset: what it was made from, and each file's size and SHA-256."""

import functools
import hashlib
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from jaxlab.core.files import check_form, read_json, write_json
from jaxlab.core.types import UserError
from jaxlab.data.source import examples


class _File(BaseModel):
    bytes: int
    sha256: str


class _Manifest(BaseModel):
    files: dict[str, _File]


NAME = "manifest.json"
SCHEMA = 1
_lock = threading.Lock()


def write_manifest(folder: Path, record: dict[str, Any]) -> None:
    """Write `record` with the size and SHA-256 of every file that now lies in `folder`."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": _sha256(path)}
        for path in sorted(folder.iterdir())
    }
    write_json(folder / NAME, {"schema": SCHEMA, **record, "files": files})


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest; None where there is none, because another program wrote the dataset.

    Checks every file's size, and the content of all but the shards, which takes no time.
    Raises UserError naming the files that are missing or differ, or where another version wrote the manifest.
    """
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        manifest = read_json(path)
        if manifest.get("schema") != SCHEMA:
            raise UserError(f"{path}: expected schema {SCHEMA}, found {manifest.get('schema')!r:.60}")
        check_form(path, manifest, _Manifest)
    except UserError as error:
        raise UserError(f"{error}; prepare the data again") from None
    files = manifest["files"]
    problems = [problem for name in files if (problem := _size_problem(folder / name, files[name]["bytes"]))]
    small = [name for name in files if ".array_record" not in name and (folder / name).is_file()]
    refuse(folder, [*problems, *_different(folder, {name: files[name]["sha256"] for name in small})])
    return manifest


def is_damaged(folder: Path) -> bool:
    """Whether it was prepared, and is no more what its manifest says, shards and all."""
    if not any(next(folder.glob(name), None) for name in ("*.array_record*", "features.json")):
        return False  # whatever its manifest is of
    try:
        if read_manifest(folder) is None:
            return False
        verify(folder)
    except UserError:
        return True
    return False


def verify(folder: Path) -> None:
    """Hash the shards, once a process. Raises UserError naming those that differ from the manifest."""
    with _lock:  # many threads ask at once
        stamps = ((path.name, path.stat().st_mtime_ns) for path in sorted(folder.iterdir()))
        problems = _verified(folder, tuple(stamps))
    refuse(folder, problems)


@functools.cache
def _verified(folder: Path, stamps: tuple[tuple[str, int], ...]) -> list[str]:
    files = read_json(folder / NAME, _Manifest)["files"]
    return _different(folder, {name: file["sha256"] for name, file in files.items()})


def refuse(folder: Path, problems: Iterable[str]) -> None:
    """Raises UserError with `problems`, if there are any."""
    if listed := list(dict.fromkeys(problems)):
        raise UserError(f"{folder} is not what {NAME} says: {examples(listed)}. Copy or prepare it again")


def _size_problem(path: Path, size: int) -> str | None:
    if not path.is_file():
        return f"{path.name} is missing"
    found = path.stat().st_size
    return None if found == size else f"{path.name} has {found:,} bytes instead of {size:,}"


def _different(folder: Path, expected: dict[str, str]) -> list[str]:
    return [
        f"{name} has another content (SHA-256)"
        for name, sha in expected.items()
        if _sha256(folder / name) != sha
    ]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
