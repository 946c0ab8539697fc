"""Tensors of a PyTorch file, without PyTorch, without running code, in time and memory by the file's size."""

import io
import mmap
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from jaxlab.core.types import UserError
from jaxlab.weights.parts import AVERAGED
from jaxlab.weights.unpickler import Described, Storage, Tensor, load

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
MOST_INFLATED = 8  # times the file's size: torch.save compresses nothing
MOST_DOTS = 40  # in a name
Read = Callable[[Storage], np.ndarray]


def read_torch(path: Path) -> tuple[dict[str, np.ndarray], str]:
    """{name: array} of the tensors in a file of torch.save, zipped (torch 1.6 and later) or not.

    Of dicts within dicts the names are joined by dots; with them comes what those of the outer dicts are where all
    tensors lie in one, such as "state_dict.", else "". What is no tensor is left out. Raises UserError.
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            found, read = _zipped(file, size) if file.peek(2)[:2] == b"PK" else _legacy(file, size)
            arrays = {name: tensor.array(read) for name, tensor in _tensors(found).items()}
            return arrays, _outer(found.content, arrays)
    except Exception as error:  # a damaged pickle can raise anything
        raise UserError(
            f"weights {path}: expected a PyTorch state dict, but it cannot be read ({error}); the file is damaged, "
            "cut short, or holds more than tensors (in PyTorch, save `model.state_dict()` alone)"
        ) from error


def _zipped(file: BinaryIO, size: int) -> tuple[Described, Read]:
    archive = zipfile.ZipFile(file)
    inflated = sum(info.file_size for info in archive.infolist())
    if inflated > MOST_INFLATED * size:
        raise ValueError(f"its {size} bytes would become {inflated}, which torch.save never does")
    names = {info.filename.partition("/")[2]: info for info in archive.infolist()}
    order: Literal["<", ">"] = (
        ">" if "byteorder" in names and archive.read(names["byteorder"]) == b"big" else "<"
    )
    buffers: dict[str, bytes] = {}

    def read(storage: Storage) -> np.ndarray:
        if storage.key not in buffers:
            buffers[storage.key] = archive.read(names[f"data/{storage.key}"])
        return np.frombuffer(buffers[storage.key], storage.dtype.newbyteorder(order), storage.count)

    content = archive.read(names["data.pkl"])
    return load(io.BytesIO(content), len(content)), read


def _legacy(file: BinaryIO, size: int) -> tuple[Described, Read]:
    """Before torch 1.6: magic number, version, system, the object, the storages' keys, the storages."""
    content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # of which no more is read than there is
    magic, _, system = (load(content, size).content for _ in range(3))
    if magic != LEGACY_MAGIC:
        raise ValueError("it is a pickle, but not one of torch.save")
    found = load(content, size)
    order: Literal["<", ">"] = "<" if system["little_endian"] else ">"
    buffers = {}
    for key in load(content, size).content:
        count = int(np.frombuffer(content.read(8), f"{order}i8")[0])
        dtype = found.storages[key].dtype.newbyteorder(order)
        if not 0 <= count * dtype.itemsize <= size - content.tell():
            raise ValueError(f"it ends within a storage of {count} values")
        buffers[key] = np.frombuffer(content.read(count * dtype.itemsize), dtype, count)
    return found, lambda storage: buffers[storage.key].view(storage.dtype.newbyteorder(order))


def _tensors(found: Described) -> dict[str, Tensor]:
    """The tensors of a dict of them, or of dicts of dicts, by name. Raises ValueError where there is none."""
    tensors: dict[str, Tensor] = {}
    _collect(found.content, "", tensors, set())
    if tensors:
        return tensors
    if found.strangers:
        raise ValueError(f"it holds a {', '.join(dict.fromkeys(found.strangers))}, which is not a tensor")
    raise ValueError(f"it holds a {type(found.content).__name__}, not a dict of tensors")


def _collect(found: Any, path: str, tensors: dict[str, Tensor], seen: set[int]) -> None:
    """Put the tensors of the dict `found` into `tensors`; one that is there under several names is taken once."""
    if not isinstance(found, Mapping) or id(found) in seen or path.count(".") > MOST_DOTS:
        return
    seen.add(id(found))
    for key, value in found.items():
        name = f"{path}.{key}" if path else str(key)
        if isinstance(value, list | tuple) and AVERAGED.search(name):
            value = dict(
                enumerate(value)
            )  # as torch_ema has them: without names, so that they can only be told of
        if isinstance(value, Tensor):
            tensors[name] = value
        elif isinstance(key, str) and not key.startswith("optim"):  # whose moments are shaped as the weights
            _collect(value, name, tensors, seen)


def _outer(found: Any, names: Iterable[str]) -> str:
    """The keys of the dicts around the one that holds all tensors, each with a dot."""
    path = ""
    while isinstance(found, Mapping):
        inside = {key for key in found if any(name.startswith(f"{path}{key}.") for name in names)}
        direct = any(isinstance(value, Tensor) for value in found.values())
        if direct or len(inside) != 1:
            break
        (key,) = inside
        path, found = f"{path}{key}.", found[key]
    return path
