"""What a submission was made of, kept beside it as `<file>.provenance.json`.

It guards against accidents: a file that was changed, renamed or taken for another. It is not signed, so that who wants
to deceive can write what they like.

The JSON holds `schema` (1), `file` (name, sha256, bytes), `made` (UTC), `python` and `versions` of the writing process,
`scores`, and `provenance`: that of the predictions. A member of it is a run (run, step, digest, config, data, versions,
commit, scores), a `file` of which no more is known, or an ensemble: `{"ensemble": [{"weight", "provenance"}, ...],
"method"}`, of runs or of ensembles.
"""

import hashlib
import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from submit.errors import SubmissionError, about
from submit.files.atomic import atomic
from submit.files.json_text import json_of, parsed_json
from submit.predictions import Predictions

SCHEMA = 1
_SUFFIX = ".provenance.json"
_PACKAGES = ("jaxlab", "numpy", "pandas", "scipy", "pyarrow")
_KEYS = ("file", "made", "python", "versions", "scores", "provenance")


def sidecar(path: str | Path) -> Path:
    """Where the provenance of the submission at `path` lies."""
    path = Path(path)
    path = path if path.name.strip(".") else path.resolve()  # "." has no name
    return path.parent / f"{path.name}{_SUFFIX}"


def keep(path: str | Path, provenance: Mapping[str, Any], scores: Mapping[str, Any] | None = None) -> Path:
    """Writes the sidecar of the submission at `path`, which lies there already. Returns the sidecar's path.

    provenance: that of its predictions. scores: local ones of the submission itself, where there are any.
    Raises SubmissionError where these are not JSON or the disk refuses.
    """
    path = Path(path)
    record = {
        "schema": SCHEMA,
        "file": _identity(path),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "scores": None if scores is None else dict(scores),
        "provenance": dict(provenance),
    }
    try:
        text = json_of(record, 1)
    except (TypeError, ValueError) as error:
        raise SubmissionError(f"{path}: its provenance cannot be written as JSON: {error}.") from error
    with atomic(sidecar(path)) as file:
        file.write(text.encode() + b"\n")
    return sidecar(path)


@dataclass(frozen=True)
class Kept:
    """A sidecar that was read back: record, its JSON; faults, what is wrong with the submission it is of."""

    path: Path
    record: dict[str, Any]
    faults: list[str]


def read(path: str | Path) -> Kept:
    """The provenance of the submission at `path`, or of the sidecar itself; of predictions in an npz, their own.

    Raises SubmissionError where there is no sidecar, or one that is damaged or another version's. A submission that
    was changed since, or is not there, is no error but a fault.
    """
    path = Path(path)
    file = path if path.name.endswith(_SUFFIX) else sidecar(path)
    if path.suffix.lower() == ".npz" and not file.exists():
        record = dict.fromkeys(_KEYS, None) | {"provenance": dict(Predictions.load(path).provenance)}
        return Kept(path, {"schema": SCHEMA, **record, "file": _identity(path)}, [])
    with about(file):
        record = _checked(_json(file))
    submission = file.parent / file.name.removesuffix(_SUFFIX)
    return Kept(submission, record, _faults(submission, record["file"]))


def _json(file: Path) -> Any:
    try:
        return parsed_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SubmissionError(
            "there is no such file; `submit.write` makes it beside each submission, so take it along."
        ) from None
    except OSError as error:
        raise SubmissionError(f"the file cannot be read ({error.strerror or error}).") from error
    except (ValueError, RecursionError) as error:
        raise SubmissionError(f"expected JSON ({error}).") from error


def _checked(record: Any) -> dict[str, Any]:
    if not isinstance(record, dict):
        raise SubmissionError("expected a JSON object.")
    if record.get("schema") != SCHEMA:
        raise SubmissionError(
            f"schema: expected {SCHEMA}, found {record.get('schema')}; was it written by another version?"
        )
    missing = [key for key in _KEYS if key not in record]
    if missing:
        raise SubmissionError(f"it lacks {', '.join(map(repr, missing))}.")
    file = record["file"] if isinstance(record["file"], dict) else {}
    kinds = [type(file.get(key)) for key in ("name", "sha256", "bytes")]
    if not isinstance(record["provenance"], dict) or kinds != [str, str, int]:
        raise SubmissionError("expected 'file' with name, sha256 and bytes, and an object 'provenance'.")
    return record


def _faults(submission: Path, file: dict[str, Any]) -> list[str]:
    if not submission.exists():
        return [f"{submission} is not there, so nothing says that it is the file of then"]
    found, faults = _sha256(submission), []
    if submission.name != file["name"]:
        faults.append(f"{submission} was called {file['name']!r} when it was written")
    if found == file["sha256"]:
        if _bytes(submission) != file["bytes"]:
            faults.append(
                f"{submission} has {_bytes(submission):,} bytes, and its record says {file['bytes']:,}"
            )
        return faults
    return [
        *faults,
        f"{submission} was changed since: it has {_bytes(submission):,} bytes and the SHA-256 {found[:12]}…, "
        f"when written {file['bytes']:,} and {file['sha256'][:12]}…",
    ]


def _identity(path: Path) -> dict[str, Any]:
    return {"name": path.name, "sha256": _sha256(path), "bytes": _bytes(path)}


def _files(path: Path) -> list[Path]:
    """The submission's own file, or those of its folder by name."""
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def _bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in _files(path))


def _sha256(path: Path) -> str:
    """Of a file; of a folder, of the lines `sha256  name` of its files, as sha256sum prints them."""
    try:
        if path.is_dir():
            lines = [f"{_sha256(file)}  {file.relative_to(path).as_posix()}\n" for file in _files(path)]
            return hashlib.sha256("".join(lines).encode()).hexdigest()
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise SubmissionError(f"{path}: the file cannot be read ({error.strerror or error}).") from error


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
