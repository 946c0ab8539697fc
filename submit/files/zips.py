"""Opening a zip that may be damaged, and what is in it."""

import zipfile
from pathlib import Path

from submit.errors import SubmissionError


def open_zip(path: str | Path) -> zipfile.ZipFile:
    """The zip, to be closed by whoever asked. Raises SubmissionError, naming the file, for what is none."""
    try:
        return zipfile.ZipFile(path)
    except (OSError, RuntimeError, ValueError, zipfile.BadZipFile) as error:  # by what is damaged
        raise SubmissionError(f"{path}: expected a zip ({error}).") from error


def names_in(archive: zipfile.ZipFile) -> list[str]:
    """What it holds, without what macOS adds for each file."""
    return [name for name in archive.namelist() if not name.startswith("__MACOSX/")]
