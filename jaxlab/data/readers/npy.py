"""npy and npz files, from whomever: one reader of each, whose every failure is one message that names the file.

A file is not taken at its word: what its headers describe must lie in it, before memory is asked for.
"""

import math
import threading
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.npyio import NpzFile

from jaxlab.core.types import UserError
from submit.late import Late

if TYPE_CHECKING:
    from submit.files import npy
else:
    npy = Late("submit.files.npy")

_PARSING = (
    threading.Lock()
)  # Python 3.11's parser, which reads the header, may fail in several threads at once
_DEFLATED = 1032  # bytes that one byte of a zip can stand for


def read_npy(file: Path, mapped: bool = False) -> np.ndarray:
    """The array of an npy file; mapped: read-only and memory-mapped, where it has elements.

    Raises UserError for what is absent, forbidden, torn, shorter than its header says, or holds objects.
    """
    try:
        array = _mapped(file)
        npy.check_text(array)
        return array if mapped else np.array(array)
    except FileNotFoundError:
        raise UserError(f"{file}: no such file") from None
    except Exception as error:  # of numpy and the system, by what is damaged
        raise UserError(f"{file}: cannot be read ({_words(error)}); object arrays are never read") from error


def read_npz(file: Path) -> dict[str, np.ndarray]:
    """{name: array} of an npz file. Raises UserError likewise; FileNotFoundError where it is absent."""
    try:
        with np.load(file, allow_pickle=False) as archive:
            if not isinstance(archive, NpzFile) or archive.zip is None:
                raise ValueError("it is an npy file")
            for member in archive.zip.infolist():
                _check_size(archive.zip, member)
            found = {name: archive[name] for name in archive.files}
        for array in found.values():
            npy.check_text(array)
        return found
    except FileNotFoundError:
        raise
    except (
        Exception
    ) as error:  # of numpy, zipfile and the system: torn, encrypted, of unknown compression, ...
        raise UserError(
            f"{file}: cannot be read as numpy arrays ({_words(error)}); object arrays are never read"
        ) from error


def _mapped(file: Path) -> np.ndarray:
    with _PARSING, file.open("rb") as stream:
        shape, _, dtype = npy.array_header(stream)
        if math.prod(shape) == 0 or dtype.hasobject:  # nothing that could be mapped; numpy says why not
            return np.load(file, allow_pickle=False)
        return np.load(file, mmap_mode="r", allow_pickle=False)


def _check_size(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    if member.file_size > _DEFLATED * (member.compress_size + 1):
        raise ValueError(f"{member.filename} is {member.file_size:,} bytes of {member.compress_size:,}")
    if not member.filename.endswith(".npy"):
        return
    with archive.open(member) as stream:
        shape, _, dtype = npy.array_header(stream)
    if math.prod(shape) * max(dtype.itemsize, 1) > member.file_size:
        raise ValueError(f"{member.filename} describes {shape} {dtype} in {member.file_size:,} bytes")


def _words(error: Exception) -> str:
    return f"{(str(error).splitlines() or [type(error).__name__])[0]:.200}"
