"""JSON files of ours, read and written; the text of Python files; and the operating system's errors in a sentence."""

import contextlib
import json
import os
import tokenize
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from jaxlab.core.types import UserError


def check_place(path: Path, said: str) -> None:
    """Raises UserError where nothing can be written at `path`, a file or folder to be made. said: what names it."""
    folder = next(parent for parent in path.absolute().parents if os.path.lexists(parent))
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise UserError(f"{said} {path}: nothing can be written in {folder}")


def read_json(path: Path, form: type[BaseModel] | None = None) -> dict[str, Any]:
    """The JSON object in a file, just as it stands there. form: as `check_form` has it.

    Raises UserError, which names the file and what is wrong with it, for whatever keeps it from being that: it is
    missing, forbidden, no file, not UTF-8, torn, too deep, no object, or of another form.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path} is missing") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({reason(error)})") from error
    except RecursionError:
        raise UserError(f"{path} is not JSON of ours: it nests too deeply") from None
    except ValueError as error:
        raise UserError(f"{path} is not whole JSON ({error})") from None
    if not isinstance(data, dict):
        raise UserError(f"{path}: expected a JSON object, found {_shown(data)}")
    if form is not None:
        check_form(path, data, form)
    return data


def check_form(path: Path, data: Mapping[str, Any], form: type[BaseModel]) -> None:
    """Raises UserError where what was read from `path` lacks what `form` says, or has it of another type.

    It may hold more: a later version's, or a kind of its own.
    """
    try:
        form.model_validate(data, strict=True)
    except ValidationError as error:
        raise UserError(f"{path}: {_first(error)}") from None


def source_text(path: Path) -> str:
    """The text of a Python file, in UTF-8 or what its first lines say. Raises UserError where it is neither."""
    try:
        with tokenize.open(path) as file:
            return file.read()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({reason(error)})") from error
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{path} is no text ({error})") from None


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write the object whole or not at all: it takes its name when it is on disk. Raises OSError where it cannot be."""
    write_whole(path, f"{json.dumps(data, indent=1)}\n".encode())


def write_whole(path: Path, data: bytes) -> None:
    """The same of any bytes."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: Path, then: str = "") -> Iterator[None]:
    """What is written at `path` in this block: raises UserError that says so where the disk refuses. then: its end."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path} could not be written ({reason(error)}){then and f'; {then}'}") from error


def reason(error: OSError) -> str:
    """The operating system's words; libraries raise some without."""
    return error.strerror or (str(error).splitlines() or [type(error).__name__])[0]


def _first(error: ValidationError) -> str:
    """Of the first place that is of another form: which, what was expected, what was found."""
    found = error.errors(include_url=False)[0]
    place = ".".join(map(str, found["loc"]))
    if found["type"] == "missing":
        return f"{place} is missing"
    return f"{place}: {found['msg'].replace('Input should', 'it should')}, found {_shown(found['input'])}"


def _shown(value: Any) -> str:
    try:
        return f"{value!r:.60}"
    except (RecursionError, ValueError):  # too deep; a number of too many digits
        return f"a {type(value).__name__}"
