"""Writing a file or a folder so that it is either complete or not there."""

import glob
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from submit.errors import SubmissionError
from submit.files.urls import refuse_url

_ABANDONED = 24 * 3600.0  # seconds, after which nobody is writing any more


@contextmanager
def atomic(path: str | Path) -> Iterator[IO[bytes]]:
    """A binary file that takes its place at `path` only when the block ends well; folders are made.

    Raises SubmissionError when the disk refuses (full, read-only); an earlier file at `path` is then untouched. And
    for a URL.
    """
    refuse_url(path)
    path = Path(path)
    temporary = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear(path)
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or error
        raise SubmissionError(f"{path} could not be written ({reason}); nothing was changed.") from error
    finally:
        with suppress(OSError):  # where no file can be, none can be removed
            temporary.unlink(missing_ok=True)


def refuse_input(out: Path, inputs: Iterable[Path | None]) -> None:
    """Raises SubmissionError where `out`, which is about to be written, is one of the files that are read for it."""
    for path in inputs:
        if path is not None and path.exists() and out.exists() and out.samefile(path):
            raise SubmissionError(
                f"--out {out}: is what is read, {path}, and would be lost; name another file."
            )


def _temporary(path: Path) -> Path:
    """Nobody else's: containers that share a disk number their processes alike."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")


def _clear(path: Path) -> None:
    """Removes what killed processes left of this file or folder, a day after they last wrote to it."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with suppress(OSError):
            if time.time() - left.lstat().st_mtime > _ABANDONED:
                shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()


def check_new_folder(path: Path) -> None:
    """Raises SubmissionError when there is a file or a folder with content, it is the working directory, or a URL."""
    refuse_url(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir()) or path.samefile(Path.cwd())):
        raise SubmissionError(f"{path}: there is something already; name a new folder.")


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """A new folder to fill, which takes its place at `path` only when the block ends well.

    Raises SubmissionError when there is a file or a folder with content at `path`, when it is the working directory,
    or the disk refuses.
    """
    path = Path(path)
    check_new_folder(path)
    temporary = _temporary(path)
    try:
        temporary.mkdir(parents=True)
        _clear(path)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or error
        raise SubmissionError(f"{path} could not be written ({reason}); nothing was changed.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
