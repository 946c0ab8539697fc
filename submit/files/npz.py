"""Reading an npz, without pickle."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.lib.npyio import NpzFile

from submit.errors import SubmissionError, named


def read_npz(path: str | Path, keys: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Name -> array, of `keys`, or of all that are there where none are given.

    Raises SubmissionError for a file that is absent or not a whole npz, and for one that lacks keys, with all of them.
    """
    try:
        with Path(path).open("rb") as file, NpzFile(file) as arrays:
            held = arrays.files
            found = {name: arrays[name] for name in keys or held if name in held}
    except FileNotFoundError:
        raise SubmissionError("there is no such file.") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise SubmissionError(f"the file is truncated, damaged or not an npz ({error}).") from error
    missing = [key for key in keys if key not in found]
    if missing:
        raise SubmissionError(
            f"it lacks {named(missing, len(missing), 7)} (it holds {named(held, len(held))})."
        )
    return found
