"""Reading zips that may be damaged, and npz, which are zips, without pickle."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile

from submit.errors import SubmissionError, named


def open_zip(path: str | Path) -> zipfile.ZipFile:
    """The zip, to be closed by whoever asked. Raises SubmissionError, naming the file, for what is none."""
    try:
        return zipfile.ZipFile(path)
    except (OSError, RuntimeError, ValueError, zipfile.BadZipFile) as error:  # by what is damaged
        raise SubmissionError(f"{path}: expected a zip ({error}).") from error


def names_in(archive: zipfile.ZipFile) -> list[str]:
    """What it holds, without what macOS adds for each file."""
    return [name for name in archive.namelist() if not name.startswith("__MACOSX/")]


def read_npz(path: str | Path, keys: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Name -> array, of `keys`, or of all that are there where none are given.

    Raises SubmissionError for a file that is absent or not a whole npz, and for one that lacks keys, with all of them.
    """
    try:
        with Path(path).open("rb") as file, NpzFile(file) as arrays:
            present = arrays.files
            found = {name: arrays[name] for name in keys or present if name in present}
    except FileNotFoundError:
        raise SubmissionError("there is no such file.") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise SubmissionError(f"the file is truncated, damaged or not an npz ({error}).") from error
    missing = [key for key in keys if key not in found]
    if missing:
        raise SubmissionError(
            f"it lacks {named(missing, len(missing), 7)} (it holds {named(present, len(present))})."
        )
    return found
