"""Pickles read so that nothing but plain values and arrays of numbers can come out of them.

A pickle is a program: whoever loads it runs it. Here the only names that it may use are those with which numpy writes
an array; each stands for an inert keeper of what it is given, from which the array is made afterwards.
"""

import pickle
from typing import IO, Any

import numpy as np

from submit.errors import SubmissionError

_KEPT = {
    (module, name): name
    for module, names in {
        "numpy._core.multiarray": ("_reconstruct", "scalar"),
        "numpy.core.multiarray": ("_reconstruct", "scalar"),
        "numpy._core.numeric": ("_frombuffer",),
        "numpy.core.numeric": ("_frombuffer",),
        "numpy": ("ndarray", "dtype"),
        "_codecs": ("encode",),  # how Python 3 writes bytes in the protocols of Python 2,
        "__builtin__": ("bytes",),  # and none of them
    }.items()
    for name in names
}


class UnsafePickle(SubmissionError):
    """A pickle that asks for something else than dicts, lists, text, numbers and arrays of numbers need."""


def load_plain(file: IO[bytes]) -> Any:
    """The dicts, lists, tuples, text, bytes, numbers and arrays of numbers that a pickle holds.

    An array of objects comes as the list of them, a number or text of numpy's as Python's. Raises UnsafePickle, before
    anything is made or called, for any other class or function, and SubmissionError for what is no pickle.
    """
    try:
        return _plain(_PlainUnpickler(file, encoding="latin1").load())
    except UnsafePickle:
        raise
    except Exception as error:  # of pickle and numpy, by what is damaged
        raise SubmissionError(f"it cannot be read as a pickle ({str(error) or repr(error)}).") from error


class _Inert:
    """Stands for one of numpy's makers: takes what they take, keeps it, does nothing."""

    maker = ""
    state: Any = None

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __setstate__(self, state: Any) -> None:
        self.state = state


_STANDINS = {name: type(name, (_Inert,), {"maker": name}) for name in _KEPT.values()}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type[_Inert]:
        if (module, name) not in _KEPT:
            raise UnsafePickle(f"its pickle asks for {module}.{name}; such a file can run programs.")
        return _STANDINS[name]


def _plain(found: Any) -> Any:
    if isinstance(found, _Inert):
        return _MAKERS[found.maker](found)
    if isinstance(found, dict):
        return {_plain(key): _plain(value) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return type(found)(map(_plain, found))
    if isinstance(found, type):
        raise ValueError("it holds a class")
    return found


def _array(found: _Inert) -> Any:
    """numpy's state of an array: version, shape, dtype, whether in Fortran's order, bytes or the list of objects."""
    _, shape, dtype, fortran, content = found.state
    if isinstance(content, list):
        return _plain(content)
    return _numbers(content, dtype, shape, "F" if fortran else "C")


def _from_buffer(found: _Inert) -> np.ndarray:
    content, dtype, shape, order, *axes = found.arguments
    if order == "K" and axes:  # numpy 2.3 and later: the axes as they lie in memory, and their order
        return _numbers(content, dtype, shape, "C").transpose(*axes)
    return _numbers(content, dtype, shape, order)


def _numbers(content: Any, dtype: Any, shape: Any, order: Any, kinds: str = "fiub") -> np.ndarray:
    content = _plain(content)
    content = content.encode("latin1") if isinstance(content, str) else content
    kind = np.dtype(str(dtype.arguments[0]))
    if kind.kind not in kinds:
        raise ValueError(f"it holds an array of {kind}")
    kind = kind.newbyteorder(dtype.state[1]) if dtype.state else kind
    return np.frombuffer(content, kind).reshape(shape, order=order)


def _scalar(found: _Inert) -> Any:
    dtype, content = found.arguments
    return _numbers(content, dtype, (), "C", "fiubU").item()


def _bytes(found: _Inert) -> bytes:
    text, encoding = found.arguments
    if encoding != "latin1":
        raise ValueError(f"it holds bytes as {encoding}")
    return str(text).encode("latin1")


def _no_bytes(found: _Inert) -> bytes:
    if found.arguments:
        raise ValueError("it makes bytes of something")
    return b""


def _nothing(found: _Inert) -> Any:
    raise ValueError(f"it holds numpy's {found.maker} by itself")


_MAKERS = {
    "_reconstruct": _array,
    "_frombuffer": _from_buffer,
    "scalar": _scalar,
    "encode": _bytes,
    "bytes": _no_bytes,
    "ndarray": _nothing,
    "dtype": _nothing,
}
