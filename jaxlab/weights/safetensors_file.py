"""Arrays of a safetensors file, those of types included that numpy has only by name: bfloat16 and float8."""

from operator import itemgetter
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors import SafetensorError, deserialize

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
    """{key: array}. Raises UserError where the file is damaged, or has values of a type that is not read."""
    try:
        found = deserialize(file.read_bytes())
    except (SafetensorError, OSError) as error:
        raise UserError(f"weights {file}: the safetensors file is damaged or cut short ({error})") from error
    tensors = sorted(found, key=itemgetter(0))  # they come in another order each time
    if unread := {key: tensor["dtype"] for key, tensor in tensors if tensor["dtype"] not in DTYPES}:
        key, name = next(iter(unread.items()))
        raise UserError(
            f"weights {file}: expected values of {', '.join(DTYPES)}, found {name} in {key} ({len(unread)} such "
            "tensors); save them as float32 or bfloat16"
        )
    return {
        key: np.frombuffer(tensor["data"], DTYPES[tensor["dtype"]]).reshape(tensor["shape"])
        for key, tensor in tensors
    }
