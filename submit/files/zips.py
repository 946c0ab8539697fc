"""Reading zips that may be damaged, and npz, which are zips, without pickle."""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from submit.errors import SubmissionError, named
from submit.files.npy import read_array

_LARGE, _RATIO = 2**28, 100  # bytes unpacked, and how many times the file's own, beyond which it is a trap


def open_zip(path: str | Path) -> zipfile.ZipFile:
    """The zip, to be closed by whoever asked. Raises SubmissionError, naming the file, for what is none."""
    try:
        return zipfile.ZipFile(path)
    except (OSError, RuntimeError, ValueError, zipfile.BadZipFile) as error:  # by what is damaged
        raise SubmissionError(f"{path}: expected a zip ({error}).") from error


def names_in(archive: zipfile.ZipFile) -> list[str]:
    """The files that it holds, without folders and what macOS adds for each file."""
    return [
        entry.filename
        for entry in archive.infolist()
        if not entry.is_dir() and not entry.filename.startswith("__MACOSX/")
    ]


def read_npz(path: str | Path, keys: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Name -> array, of `keys`, or of all that are there where none are given.

    Raises SubmissionError for a file that is absent or not a whole npz, one that unpacks to far more than it is, and
    one that lacks keys, with all of them.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
            wanted = [name for name in keys or entries if name in entries]
            refuse_bomb(path, sum(entries[name].file_size for name in wanted))
            found = {name: _member(archive, entries[name]) for name in wanted}
    except FileNotFoundError:
        raise SubmissionError("there is no such file.") from None
    except SubmissionError:
        raise
    except Exception as error:  # of zipfile, what unpacks, and numpy, by what is damaged
        raise SubmissionError(f"the file is truncated, damaged or not an npz ({error}).") from error
    missing = [key for key in keys if key not in found]
    if missing:
        raise SubmissionError(
            f"it lacks {named(missing, len(missing), 7)} (it holds {named(entries, len(entries))})."
        )
    return found


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(entry) as file:
        try:
            return read_array(file, entry.file_size)
        except ValueError as error:
            raise ValueError(f"{entry.filename}: {error}") from error


def refuse_bomb(path: Path, size: int, advice: str = "") -> None:
    """Raises SubmissionError where a packed file would unpack to `size` bytes, over 256 MiB and 100 times its own."""
    if size > _LARGE and size > _RATIO * (held := path.stat().st_size):
        raise SubmissionError(
            f"its {held:,} bytes would unpack to {size:,}; a file like this is not read.{advice}"
        )
