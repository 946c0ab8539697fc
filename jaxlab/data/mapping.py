"""The pickled dict in an npy file, read so that nothing but numbers and names can come out of it."""

import pickle
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from jaxlab.types import UserError


def read_mapping(path: Path) -> dict[int, str]:
    """{number: name} of a file that `np.save(path, {number: name})` wrote.

    numpy itself would unpickle it, and a pickle can run any program. Here no function is called and no class made
    but an inert stand-in for numpy's array around the dict. Raises UserError for everything else in the file.
    """
    try:
        with path.open("rb") as file:
            found = _content(file)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except _Unsafe as error:
        raise UserError(
            f"{path}: not opened: its pickle asks for {error}, which a dict of numbers and names does not need; "
            "such a file can run programs. Fetch it anew from the challenge"
        ) from error
    except Exception as error:  # of pickle and numpy, by what is damaged
        raise UserError(f"{path}: cannot be read as a pickled dict ({str(error) or repr(error)})") from error
    if type(found) is not dict or not all(type(k) is int and type(v) is str for k, v in found.items()):
        raise UserError(f"{path}: expected a dict of whole numbers to names, found {_shown(found)}")
    return found


class _Unsafe(Exception):
    """A pickle that wants something other than numpy's array of one object."""


class _Inert:
    """Stands for numpy's array, its type and its maker: takes what they take, keeps it, does nothing."""

    state: Any = None

    def __init__(self, *arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type[_Inert]:
        array = ("numpy._core.multiarray", "numpy.core.multiarray")
        if (module in array and name == "_reconstruct") or (
            module == "numpy" and name in ("ndarray", "dtype")
        ):
            return _Inert
        raise _Unsafe(f"{module}.{name}")


def _content(file: BinaryIO) -> Any:
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = header(file)
    if not dtype.hasobject or shape != ():
        raise ValueError(f"it holds {dtype} of shape {shape}")
    (content,) = _Unpickler(file).load().state[-1]  # numpy's state: version, shape, dtype, order, [object]
    return content


def _shown(found: Any) -> str:
    text = "an object" if isinstance(found, _Inert) else repr(found)
    return text if len(text) < 100 else f"{text[:100]}..."
