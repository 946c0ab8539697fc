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
        "numpy._core.multiarray": ("_reconstruct",),
        "numpy.core.multiarray": ("_reconstruct",),
        "numpy._core.numeric": ("_frombuffer",),
        "numpy.core.numeric": ("_frombuffer",),
        "numpy": ("ndarray", "dtype"),
        "_codecs": ("encode",),  # how Python 3 writes bytes in the protocols of Python 2
    }.items()
    for name in names
}


class UnsafePickle(SubmissionError):
    """A pickle that asks for something else than dicts, lists, text, numbers and arrays of numbers need."""


def load_plain(file: IO[bytes]) -> Any:
    """The dicts, lists, tuples, text, bytes, numbers and arrays of numbers that a pickle holds.

    An array of objects comes as the list of them. Raises UnsafePickle, before anything is made or called, for any
    other class or function, and SubmissionError for what is no pickle.
    """
    try:
        return _plain(_Unpickler(file, encoding="latin1").load())
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


class _Unpickler(pickle.Unpickler):
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
    content, dtype, shape, order = found.arguments
    return _numbers(content, dtype, shape, order)


def _numbers(content: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    content, kind = _plain(content), _plain(dtype)
    content = content.encode("latin1") if isinstance(content, str) else content
    if not isinstance(kind, np.dtype) or kind.kind not in "fiub":
        raise ValueError(f"it holds an array of {kind}")
    return np.frombuffer(content, kind).reshape(shape, order=order)


def _dtype(found: _Inert) -> np.dtype:
    dtype = np.dtype(str(found.arguments[0]))
    return dtype.newbyteorder(found.state[1]) if found.state else dtype


def _bytes(found: _Inert) -> bytes:
    text, encoding = found.arguments
    if encoding != "latin1":
        raise ValueError(f"it holds bytes as {encoding}")
    return str(text).encode("latin1")


def _nothing(found: _Inert) -> Any:
    raise ValueError(f"it holds numpy's {found.maker} by itself")


_MAKERS = {
    "_reconstruct": _array,
    "_frombuffer": _from_buffer,
    "dtype": _dtype,
    "encode": _bytes,
    "ndarray": _nothing,
}
