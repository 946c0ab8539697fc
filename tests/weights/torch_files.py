"""Files as torch.save writes them, without torch: nested dicts of arrays, or a pickle as given."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

KINDS = {
    "float32": "FloatStorage",
    "float64": "DoubleStorage",
    "int64": "LongStorage",
    "uint8": "ByteStorage",
}


class Named:
    """What the pickle names `module.name`, called with `args`."""

    def __init__(self, module: str, name: str, *args: Any):
        self.module, self.name, self.args = module, name, args


class _Storage:
    def __init__(self, kind: str, key: str, count: int):
        self.kind, self.key, self.count = kind, key, count


class _Pickler(pickle._Pickler):
    """Globals by name, without the module that has them; storages by torch's persistent ids."""

    def persistent_id(self, thing: Any) -> Any:
        if not isinstance(thing, _Storage):
            return None
        return ("storage", Named("torch", thing.kind), thing.key, "cpu", thing.count)

    def save(self, thing: Any, save_persistent_id: bool = True) -> None:
        if not isinstance(thing, Named):
            super().save(thing, save_persistent_id)
            return
        self.write(pickle.GLOBAL + f"{thing.module}\n{thing.name}\n".encode())
        if thing.args:
            super().save(thing.args)
            self.write(pickle.REDUCE)


def save_torch(content: Any, file: Path, compress: int = zipfile.ZIP_STORED) -> None:
    """Write `content`, in which arrays become tensors."""
    with zipfile.ZipFile(file, "w", compress) as archive:
        buffers: list[np.ndarray] = []

        def tensors(part: Any) -> Any:
            if isinstance(part, dict):
                return {key: tensors(value) for key, value in part.items()}
            if isinstance(part, list):
                return [tensors(value) for value in part]
            if not isinstance(part, np.ndarray):
                return part
            buffers.append(part)
            storage = _Storage(KINDS.get(part.dtype.name, part.dtype.name), str(len(buffers) - 1), part.size)
            return tensor(storage, part.shape, tuple(step // part.itemsize for step in part.strides))

        stream = io.BytesIO()
        _Pickler(stream, protocol=2).dump(tensors(content))
        archive.writestr("x/data.pkl", stream.getvalue())
        for number, buffer in enumerate(buffers):
            archive.writestr(f"x/data/{number}", np.ascontiguousarray(buffer).tobytes())


def tensor(storage: Any, shape: tuple[int, ...], strides: tuple[int, ...]) -> Named:
    """A view of a storage, (kind, key, count) or as above."""
    storage = storage if isinstance(storage, _Storage) else _Storage(*storage)
    return Named("torch._utils", "_rebuild_tensor_v2", storage, 0, shape, strides, False, {})
