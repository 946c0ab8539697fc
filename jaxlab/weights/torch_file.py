"""Tensors of a PyTorch file, without PyTorch and without running the code that a pickle may hold."""

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import ml_dtypes
import numpy as np

from jaxlab.core.types import UserError

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
WITHIN = ("state_dict", "model")  # the latter in the files of DeiT's authors
DTYPES = {
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


@dataclass(frozen=True)
class _StorageType:
    dtype: np.dtype


@dataclass(frozen=True)
class _Storage:
    """A flat buffer of the file: its key there, its type, and its number of values."""

    key: str
    dtype: np.dtype
    count: int


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage, as the pickle describes it, before the storage is read."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self, read: Callable[[_Storage], np.ndarray]) -> np.ndarray:
        """The values. Raises ValueError for a view that reaches outside its storage."""
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        if 0 in self.shape:
            return np.zeros(self.shape, self.storage.dtype)
        if min((self.offset, *self.shape, *self.strides)) < 0 or last >= self.storage.count:
            raise ValueError(f"a tensor of shape {self.shape} reaches outside its storage")
        flat = read(self.storage)[self.offset :]
        steps = [step * flat.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(flat, self.shape, steps).copy()


def _tensor(storage: _Storage, offset: int, shape: Any, strides: Any, *_: Any) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _parameter(tensor: _Tensor, *_: Any) -> _Tensor:
    return tensor


class _Unpickler(pickle.Unpickler):
    """Knows the few names that a state dict needs, and refuses every other one."""

    def __init__(self, file: BinaryIO):
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in DTYPES:
            return _StorageType(DTYPES[name])
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch._utils", "_rebuild_parameter"): _parameter,
            ("torch", "Size"): tuple,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it holds a {module}.{name}, which is not a tensor")
        return known[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        _, kind, key, _, count, *view = pid
        if view not in ([], [None]):
            raise pickle.UnpicklingError(
                "it holds views of storages, which only very old versions of torch wrote"
            )
        return self.storages.setdefault(key, _Storage(key, kind.dtype, int(count)))


def read_torch(path: Path) -> dict[str, np.ndarray]:
    """The state dict in a file of torch.save, zipped (torch 1.6 and later) or not. Raises UserError."""
    try:
        with path.open("rb") as file:
            found, read = _zipped(file) if file.peek(2)[:2] == b"PK" else _legacy(file)
        return {name: tensor.array(read) for name, tensor in _tensors(found)}
    except Exception as error:  # a damaged pickle can raise anything
        raise UserError(
            f"weights {path}: expected a PyTorch state dict, but it cannot be read ({error}); the file is damaged, "
            "cut short, or holds more than tensors (in PyTorch, save `model.state_dict()` alone)"
        ) from error


def _zipped(file: BinaryIO) -> tuple[Any, Callable[[_Storage], np.ndarray]]:
    with zipfile.ZipFile(file) as archive:
        content = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    order: Literal["<", ">"] = ">" if content.get("byteorder") == b"big" else "<"

    def read(storage: _Storage) -> np.ndarray:
        return np.frombuffer(content[f"data/{storage.key}"], storage.dtype.newbyteorder(order), storage.count)

    return _Unpickler(io.BytesIO(content["data.pkl"])).load(), read


def _legacy(file: BinaryIO) -> tuple[Any, Callable[[_Storage], np.ndarray]]:
    """Before torch 1.6: magic number, version, system, the object, the storages' keys, the storages."""
    magic, _, system = (_Unpickler(file).load() for _ in range(3))
    if magic != LEGACY_MAGIC:
        raise ValueError("it is a pickle, but not one of torch.save")
    unpickler = _Unpickler(file)
    found = unpickler.load()
    order: Literal["<", ">"] = "<" if system["little_endian"] else ">"
    buffers = {}
    for key in _Unpickler(file).load():
        count = int(np.frombuffer(file.read(8), f"{order}i8")[0])
        dtype = unpickler.storages[key].dtype.newbyteorder(order)
        buffers[key] = np.frombuffer(file.read(count * dtype.itemsize), dtype, count)
    return found, lambda storage: buffers[storage.key]


def _tensors(found: Any) -> Iterator[tuple[str, _Tensor]]:
    """Names and tensors of a state dict, or of the one that a checkpoint has under one of `WITHIN`."""
    if isinstance(found, Mapping):
        found = next((found[key] for key in WITHIN if isinstance(found.get(key), Mapping)), found)
    if not isinstance(found, Mapping):
        raise ValueError(f"it holds a {type(found).__name__}, not a dict of tensors")
    others = [str(name) for name, value in found.items() if not isinstance(value, _Tensor)]
    if others:
        raise ValueError(f"{len(others)} entries are not tensors: {', '.join(others[:5])}")
    yield from found.items()
