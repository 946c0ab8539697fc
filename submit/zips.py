"""Opening a zip that may be damaged."""

import zipfile
from pathlib import Path

from submit.errors import SubmissionError


def open_zip(path: str | Path) -> zipfile.ZipFile:
    """The zip, to be closed by whoever asked. Raises SubmissionError, naming the file, for what is none."""
    try:
        return zipfile.ZipFile(path)
    except (OSError, RuntimeError, ValueError, zipfile.BadZipFile) as error:  # by what is damaged
        raise SubmissionError(f"{path}: expected a zip ({error}).") from error
