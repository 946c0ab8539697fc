"""What a pickle of torch.save describes, without PyTorch, without running code, in time and memory by its length.

A pickle is a program. Here it makes dicts, lists, tuples, text, numbers and descriptions of tensors; whatever else it
asks for becomes a `Stranger`, which does nothing. Three things would let a short pickle keep a machine busy, and are
refused: sizes beyond its end, keys that are nested tuples (whose hash visits shared parts again and again), and
copies of one list over and over.
"""

import pickle
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

MOST_AXES = 64  # of a tensor; numpy's limit
MOST_STRANGERS = 20  # that are named
STORAGES = {
    "FloatStorage": np.dtype(np.float32),
    "DoubleStorage": np.dtype(np.float64),
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype(np.int64),
    "IntStorage": np.dtype(np.int32),
    "ShortStorage": np.dtype(np.int16),
    "CharStorage": np.dtype(np.int8),
    "ByteStorage": np.dtype(np.uint8),
    "BoolStorage": np.dtype(np.bool_),
}
DTYPES = {  # those without a storage type of their own
    "float8_e4m3fn": np.dtype(ml_dtypes.float8_e4m3fn),
    "float8_e4m3fnuz": np.dtype(ml_dtypes.float8_e4m3fnuz),
    "float8_e5m2": np.dtype(ml_dtypes.float8_e5m2),
    "float8_e5m2fnuz": np.dtype(ml_dtypes.float8_e5m2fnuz),
    "float8_e8m0fnu": np.dtype(ml_dtypes.float8_e8m0fnu),
    "uint16": np.dtype(np.uint16),
    "uint32": np.dtype(np.uint32),
    "uint64": np.dtype(np.uint64),
}


@dataclass(frozen=True)
class DType:
    """A type of values that the pickle names."""

    dtype: np.dtype


@dataclass(frozen=True)
class Storage:
    """A flat buffer of the file: its key there, its type, and its number of values."""

    key: str
    dtype: np.dtype
    count: int


@dataclass(frozen=True)
class Tensor:
    """A view of a storage, as the pickle describes it, before the storage is read."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self, read: Callable[[Storage], np.ndarray]) -> np.ndarray:
        """The values, where they lie. Raises ValueError for a view of more than its storage, or outside of it."""
        if 0 in self.shape:
            return np.zeros(self.shape, self.storage.dtype)
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        if min((self.offset, *self.shape, *self.strides)) < 0 or last >= self.storage.count:
            raise ValueError(f"a tensor of shape {self.shape} reaches outside its storage")
        size = 1
        for side in self.shape:  # in Python's integers: numpy's would wrap around
            size *= side
        if size > self.storage.count:
            raise ValueError(
                f"a tensor of shape {self.shape} repeats a storage of {self.storage.count} values (strides "
                f"{self.strides}); in PyTorch, save tensor.contiguous()"
            )
        flat = read(self.storage)[self.offset :]
        steps = [step * flat.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(flat, self.shape, steps, writeable=False)


class Stranger:
    """Stands for anything that is no tensor: takes whatever the pickle gives it, and keeps nothing."""

    def __init__(self, *_: Any, **__: Any):
        pass

    def __call__(self, *_: Any, **__: Any) -> "Stranger":
        return self

    def append(self, _: Any) -> None:
        """Nothing."""

    def extend(self, _: Any) -> None:
        """Nothing."""

    def __setitem__(self, *_: Any) -> None:
        pass


def _axes(values: Any) -> tuple[int, ...]:
    if not isinstance(values, list | tuple) or len(values) > MOST_AXES:
        raise pickle.UnpicklingError("it holds a tensor whose shape is none")
    return tuple(int(value) for value in values)


def _tensor(storage: Storage, offset: int, shape: Any, strides: Any, *_: Any) -> Tensor:
    return Tensor(storage, int(offset), _axes(shape), _axes(strides))


def _typed_tensor(
    storage: Storage, offset: int, shape: Any, strides: Any, _grad: Any, _hooks: Any, kind: DType, *_: Any
) -> Tensor:
    """Of a dtype without a storage type: the storage counts bytes."""
    count = storage.count * storage.dtype.itemsize // kind.dtype.itemsize
    return _tensor(Storage(storage.key, kind.dtype, count), offset, shape, strides)


def _parameter(tensor: Tensor, *_: Any) -> Tensor:
    return tensor


KNOWN: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _typed_tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch", "Size"): _axes,
    **{("torch", name): DType(dtype) for name, dtype in (STORAGES | DTYPES).items()},
    ("torch.storage", "UntypedStorage"): DType(np.dtype(np.uint8)),
}


@dataclass(frozen=True)
class Described:
    """content: what a pickle holds. storages: by key. strangers: names of what it asks for that is no tensor."""

    content: Any
    storages: dict[str, Storage]
    strangers: list[str]


def load(file: Any, length: int) -> Described:
    """What the pickle at the place of `file` holds, which is `length` bytes at most; leaves `file` behind it.

    Raises UnpicklingError, or whatever else a damaged pickle raises.
    """
    unpickler = _Unpickler(file, length)
    return Described(unpickler.load(), unpickler.storages, unpickler.strangers)


class _Unpickler(pickle._Unpickler):
    """In Python, so that what every operation does can be said below; the memo is a dict, whatever its numbers."""

    stack: list[Any]

    def __init__(self, file: Any, length: int):
        super().__init__(file, encoding="latin1")
        self.storages: dict[str, Storage] = {}
        self.strangers: list[str] = []
        self.left = (
            2 * length
        )  # of parts that calls may still be given: each is in the pickle, but for repeated ones

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return self._ordered
        if (module, name) in KNOWN:
            return KNOWN[module, name]
        if len(self.strangers) < MOST_STRANGERS:
            self.strangers.append(f"{module}.{name}")
        return Stranger

    def persistent_load(self, pid: Any) -> Storage:
        _, kind, key, _, count, *view = pid
        if view not in ([], [None]):
            raise pickle.UnpicklingError(
                "it holds views of storages, which only very old versions of torch wrote"
            )
        return self.storages.setdefault(_key(key), Storage(key, kind.dtype, int(count)))

    def spend(self, parts: int) -> None:
        """Raises UnpicklingError where so many parts cannot all be different ones."""
        self.left -= parts
        if self.left < 0:
            raise pickle.UnpicklingError("it holds one list many times over")

    def _ordered(self, pairs: Any = ()) -> OrderedDict[Any, Any]:
        self.spend(len(pairs))
        return OrderedDict((_key(key), value) for key, value in pairs)


def _key(key: Any) -> Any:
    if isinstance(key, str | bytes | int | float | None) or (
        isinstance(key, tuple) and all(isinstance(part, str | bytes | int | float | None) for part in key)
    ):
        return key
    raise pickle.UnpicklingError(f"it holds a dict with a {type(key).__name__} as a key")


def _set_item(self: Any) -> None:
    value, key = self.stack.pop(), self.stack.pop()
    self.stack[-1][_key(key)] = value


def _set_items(self: Any) -> None:
    items = self.pop_mark()
    for key, value in zip(items[::2], items[1::2], strict=True):
        self.stack[-1][_key(key)] = value


def _dict(self: Any) -> None:
    items = self.pop_mark()
    pairs = zip(items[::2], items[1::2], strict=True)
    self.stack.append({_key(key): value for key, value in pairs})


def _add_items(self: Any) -> None:
    items = self.pop_mark()
    self.stack[-1].update(map(_key, items))


def _frozen_set(self: Any) -> None:
    self.stack.append(frozenset(map(_key, self.pop_mark())))


def _build(self: Any) -> None:
    """An object's attributes are left out: of a state dict they are versions."""
    self.stack.pop()


def _reduce(self: Any) -> None:
    args = self.stack.pop()
    self.spend(len(args))
    self.stack.append(self.stack.pop()(*args))


def _new_object(self: Any) -> None:
    """Of a class: none of those that are known is made so."""
    del self.stack[-2:]
    self.stack.append(Stranger())


def _new_object_by_name(self: Any) -> None:
    del self.stack[-3:]
    self.stack.append(Stranger())


def _byte_array(self: Any) -> None:
    raise pickle.UnpicklingError("it holds a bytearray")


_Unpickler.dispatch = {
    **pickle._Unpickler.dispatch,
    pickle.SETITEM[0]: _set_item,
    pickle.SETITEMS[0]: _set_items,
    pickle.DICT[0]: _dict,
    pickle.ADDITEMS[0]: _add_items,
    pickle.FROZENSET[0]: _frozen_set,
    pickle.BUILD[0]: _build,
    pickle.REDUCE[0]: _reduce,
    pickle.NEWOBJ[0]: _new_object,
    pickle.NEWOBJ_EX[0]: _new_object_by_name,
    pickle.BYTEARRAY8[0]: _byte_array,
}
