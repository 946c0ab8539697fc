"""Vertices of a cortical mesh: FreeSurfer's surfaces, and arrays of coordinates."""

import struct
from pathlib import Path

import numpy as np
from jaxtyping import Float

from jaxlab.core.files import reason
from jaxlab.core.types import UserError
from jaxlab.data.readers.npy import read_npy

_TRIANGLES = b"\xff\xff\xfe"  # what a surface of triangles begins with
_LONGEST = 10_000  # bytes of the two lines that follow


def read_vertices(path: Path) -> Float[np.ndarray, "v 3"]:
    """(v, 3) float64: of a FreeSurfer surface of triangles (`lh.sphere`), or of an npy file of (v, 3) numbers.

    Raises UserError for whatever is neither.
    """
    if path.suffix.lower() == ".npy":
        found = read_npy(path)
        if found.ndim != 2 or found.shape[1] != 3 or found.dtype.kind not in "fiu":
            raise UserError(f"{path}: expected numbers (vertices, 3), found {found.dtype} {found.shape}")
    else:
        found = _of_freesurfer(path)
    vertices = found.astype(np.float64)
    if bad := int((~np.isfinite(vertices)).any(1).sum()):
        raise UserError(f"{path}: {bad} of {len(vertices)} vertices are nowhere (not finite)")
    return vertices


def _of_freesurfer(path: Path) -> np.ndarray:
    """After its mark two lines of text, then big-endian: int32 counts of vertices and triangles, and float32 (v, 3)."""
    try:
        stored = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({reason(error)})") from error
    if not stored.startswith(_TRIANGLES):
        raise UserError(
            f"{path}: expected a FreeSurfer surface, as fsaverage/surf/lh.sphere is, or an .npy file of (vertices, 3); "
            "of GIFTI: numpy.save('lh.npy', nibabel.load(FILE).darrays[0].data)"
        )
    begin = stored.find(b"\n", stored.find(b"\n", 0, _LONGEST) + 1, _LONGEST) + 1
    counts = struct.unpack_from(">2i", stored, begin) if 3 < begin <= len(stored) - 8 else (0, 0)
    if not 0 < 12 * counts[0] <= len(stored) - begin - 8:
        raise UserError(f"{path}: a FreeSurfer surface that is torn: fewer vertices than it says")
    return np.frombuffer(stored, ">f4", 3 * counts[0], begin + 8).reshape(-1, 3)
