"""Arrays of a safetensors file, those of types included that numpy has only by name: bfloat16 and float8."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np
from safetensors import SafetensorError, safe_open

from jaxlab.core.types import UserError

DTYPES = {
    "F64": np.dtype(np.float64),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E4M3FNUZ": np.dtype(ml_dtypes.float8_e4m3fnuz),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "F8_E5M2FNUZ": np.dtype(ml_dtypes.float8_e5m2fnuz),
    "F8_E8M0": np.dtype(ml_dtypes.float8_e8m0fnu),
    "I64": np.dtype(np.int64),
    "U64": np.dtype(np.uint64),
    "I32": np.dtype(np.int32),
    "U32": np.dtype(np.uint32),
    "I16": np.dtype(np.int16),
    "U16": np.dtype(np.uint16),
    "I8": np.dtype(np.int8),
    "U8": np.dtype(np.uint8),
    "BOOL": np.dtype(np.bool_),
    "C64": np.dtype(np.complex64),
}


def read_safetensors(file: Path) -> dict[str, np.ndarray]:
    """{key: array}, each read into its place. Raises UserError for a damaged file, or a type that is not read."""
    try:
        with safe_open(file, framework="np") as checked:  # the header, against the file's size
            names = {key: checked.get_slice(key).get_dtype() for key in sorted(checked.keys())}
        if unread := {key: name for key, name in names.items() if name not in DTYPES}:
            raise UserError(_unread(file, unread))
        with file.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(size))
            return {key: _tensor(stream, 8 + size, header[key]) for key in names}
    except (SafetensorError, OSError, ValueError) as error:  # the last of shapes that numpy has not
        raise UserError(f"weights {file}: the safetensors file is damaged or cut short ({error})") from error


def _tensor(stream: BinaryIO, start: int, entry: Mapping[str, Any]) -> np.ndarray:
    """The tensor of an entry of the header, which says where after `start` its bytes lie."""
    array = np.empty(entry["shape"], DTYPES[entry["dtype"]])
    stream.seek(start + entry["data_offsets"][0])
    if stream.readinto(array.reshape(-1).view(np.uint8).data) != array.nbytes:  # type: ignore[attr-defined]
        raise OSError("it became shorter as it was read")
    return array


def _unread(file: Path, unread: Mapping[str, str]) -> str:
    key, name = next(iter(unread.items()))
    return (
        f"weights {file}: expected values of {', '.join(DTYPES)}, found {name} in {key} ({len(unread)} such "
        "tensors); save them as float32 or bfloat16"
    )
