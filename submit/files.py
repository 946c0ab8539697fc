"""Writing a file so that it is either complete or not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from submit.errors import SubmissionError


@contextmanager
def atomic(path: str | Path) -> Iterator[IO[bytes]]:
    """A binary file that takes its place at `path` only when the block ends well; folders are made.

    Raises SubmissionError when the disk refuses (full, read-only); an earlier file at `path` is then untouched.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or error
        raise SubmissionError(f"{path} could not be written ({reason}); nothing was changed.") from error
    finally:
        temporary.unlink(missing_ok=True)
