"""Reading .npy arrays that may be damaged or hostile: nothing is made room for that the file does not hold."""

from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import IO

import numpy as np

from submit.errors import SubmissionError, about


def array_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """The shape of a .npy file, whether in Fortran's order, and its dtype; the file then stands at the values.

    Raises ValueError for what is no .npy file.
    """
    old = np.lib.format.read_magic(file) == (1, 0)
    try:
        header = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = header(file)
    except (TokenError, SyntaxError, RecursionError, MemoryError) as error:  # numpy reads it as Python
        raise ValueError(f"its header is damaged: {error or type(error).__name__}") from error
    if any(not 0 <= side <= 2**62 for side in shape):
        raise ValueError(f"its header speaks of a shape {str(shape)[:60]}")
    return shape, fortran, dtype


def read_array(file: IO[bytes], held: int) -> np.ndarray:
    """The array in an open .npy file, or member of a zip, of `held` bytes. Raises ValueError for what is none whole."""
    shape, fortran, dtype = array_header(file)
    if dtype.hasobject:
        raise ValueError("it holds Python's objects")
    if dtype.names is not None:
        raise ValueError(f"it holds records of {', '.join(dtype.names)}")
    size = prod(shape) * dtype.itemsize
    if max(size, prod(shape) if not dtype.itemsize else 0) > held:
        raise ValueError(f"its header speaks of {size:,} bytes of values, and {held:,} are there")
    values = np.empty(prod(shape), dtype)
    room, read = values.view(np.uint8).data if size else memoryview(b""), 0
    while read < size and (more := file.readinto(room[read:])):  # type: ignore[attr-defined]
        read += more
    if read != size or file.read(1):
        raise ValueError(
            f"expected {size:,} bytes of values, found {'more' if read == size else f'{read:,}'}"
        )
    check_text(values)
    return values.reshape(shape, order="F" if fortran else "C")


def check_text(values: np.ndarray) -> None:
    """Raises ValueError for text, just read from a file, of numbers that are no characters' or half a one's."""
    if values.dtype.kind == "U" and values.size and values.dtype.itemsize:
        flat = np.ascontiguousarray(values).reshape(-1)
        codes = flat.view(np.dtype(np.uint32).newbyteorder(values.dtype.byteorder))
        bad = codes[(codes > 0x10FFFF) | ((codes >= 0xD800) & (codes < 0xE000))]
        if bad.size:
            raise ValueError(f"it holds text with {bad[0]:#x}, which is no character")


def load_npy(path: str | Path, what: str) -> np.ndarray:
    """The array in the .npy at `path`. Raises SubmissionError, naming the file, saying that `what` was expected."""
    path = Path(path)
    with about(path):
        try:
            with path.open("rb") as file:
                return read_array(file, path.stat().st_size)
        except FileNotFoundError:
            raise SubmissionError(f"there is no such file; expected {what}.") from None
        except Exception as error:  # of numpy, by what is damaged
            found = "found an npz" if _is_zip(path) else error
            raise SubmissionError(f"expected {what} ({found}).") from error


def _is_zip(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(2) == b"PK"
    except OSError:
        return False
