"""Pickles read so that nothing but plain values and arrays of numbers can come out of them.

A pickle is a program: whoever loads it runs it. Here the only names that it may use are those with which numpy writes
an array; each stands for an inert keeper of what it is given, from which the array is made afterwards.
"""

import io
import pickle
from collections.abc import Callable
from typing import IO, Any

import numpy as np

from submit.errors import SubmissionError
from submit.files.pickle_scan import refuse_swollen

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
        content = file.read()
        refuse_swollen(content)
        return _Plain().of(_PlainUnpickler(io.BytesIO(content), encoding="latin1").load())
    except SubmissionError:
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


class _Plain:
    """Makes plain values of what was loaded, each object once, however often it is referred to."""

    def __init__(self) -> None:
        self._made: dict[int, Any] = {}

    def of(self, found: Any) -> Any:
        """Raises ValueError for a class, and for what holds itself."""
        if not isinstance(found, _Inert | dict | list | tuple):
            if isinstance(found, type):
                raise ValueError("it holds a class")
            return found
        if id(found) not in self._made:
            self._made[id(found)] = _UNFINISHED
            self._made[id(found)] = self._of_new(found)
        if self._made[id(found)] is _UNFINISHED:
            raise ValueError("it holds something that holds itself")
        return self._made[id(found)]

    def _of_new(self, found: Any) -> Any:
        if isinstance(found, _Inert):
            return _MAKERS[found.maker](found, self.of)
        if isinstance(found, dict):
            return {self.of(key): self.of(value) for key, value in found.items()}
        return type(found)(map(self.of, found))


_UNFINISHED = object()
_Of = Callable[[Any], Any]


def _array(found: _Inert, plain: _Of) -> Any:
    """numpy's state of an array: version, shape, dtype, whether in Fortran's order, bytes or the list of objects."""
    _, shape, dtype, fortran, content = found.state
    if isinstance(content, list):
        return plain(content)
    return _numbers(plain(content), dtype, shape, "F" if fortran else "C")


def _from_buffer(found: _Inert, plain: _Of) -> np.ndarray:
    content, dtype, shape, order, *axes = found.arguments
    if order == "K" and axes:  # numpy 2.3 and later: the axes as they lie in memory, and their order
        return _numbers(plain(content), dtype, shape, "C").transpose(*axes)
    return _numbers(plain(content), dtype, shape, order)


def _numbers(content: Any, dtype: Any, shape: Any, order: Any, kinds: str = "fiub") -> np.ndarray:
    content = content.encode("latin1") if isinstance(content, str) else content
    kind = np.dtype(str(dtype.arguments[0]))
    if kind.kind not in kinds:
        raise ValueError(f"it holds an array of {kind}")
    kind = kind.newbyteorder(dtype.state[1]) if dtype.state else kind
    return np.frombuffer(content, kind).reshape(shape, order=order)


def _scalar(found: _Inert, plain: _Of) -> Any:
    dtype, content = found.arguments
    return _numbers(plain(content), dtype, (), "C", "fiubU").item()


def _bytes(found: _Inert, plain: _Of) -> bytes:
    text, encoding = found.arguments
    if encoding != "latin1":
        raise ValueError(f"it holds bytes as {encoding}")
    return str(text).encode("latin1")


def _no_bytes(found: _Inert, plain: _Of) -> bytes:
    if found.arguments:
        raise ValueError("it makes bytes of something")
    return b""


def _nothing(found: _Inert, plain: _Of) -> Any:
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
