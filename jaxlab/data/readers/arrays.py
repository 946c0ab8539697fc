"""Arrays by name: an npz, an HDF5 file, or a folder of npy files."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxlab.core.types import UserError
from jaxlab.data.readers.npy import read_npy, read_npz
from jaxlab.data.source import TO_TRY, examples

if TYPE_CHECKING:
    import h5py

HDF5 = (".h5", ".hdf5")
_MOST_PACKED = 10_000  # bytes that one byte of a compressed array may stand for
_LEAST_ROOM = 1 << 20  # bytes that any file may describe


def load(path: Path, lazy: tuple[str, ...]) -> Mapping[str, Any]:
    """Every array by name; those of a folder are memory-mapped. Pickled objects are refused.

    lazy: names that an HDF5 file keeps on disk: what stands for such an array has its shape and dtype, and is
        read a row at a time. Raises UserError for a path that holds no arrays or a damaged file.
    """
    try:
        if path.is_dir():
            return {file.stem: read_npy(file, mapped=True) for file in sorted(path.glob("*.npy"))}
        if path.suffix in HDF5:
            file = open_hdf5(path)
            return {name: file[name] if name in lazy else _whole(file[name]) for name in file}
        if path.suffix != ".npz":
            raise UserError(
                f"data.root: expected an npz or HDF5 file ({', '.join(HDF5)}), or a folder of npy files, found {path}; "
                f"{TO_TRY}"
            )
        return read_npz(path)
    except FileNotFoundError:
        raise UserError(f"data.root: nothing at {path}; {TO_TRY}") from None
    except (ValueError, OSError) as error:
        raise UserError(
            f"{path}: cannot be read as numpy arrays ({error}); object arrays are never read"
        ) from error


def open_hdf5(path: Path) -> "h5py.File":
    """The file, open for reading.

    Raises UserError where it is none, holds groups beside arrays, or arrays whose values lie in other files or nowhere.
    """
    import h5py  # a fifth of a second that other sources do without

    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise UserError(f"data.root: expected an HDF5 file, found {found} at {path}; {TO_TRY}")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise UserError(f"{path}: cannot be read as HDF5 ({error})") from error
    links = [name for name in file if not isinstance(file.get(name, getlink=True), h5py.HardLink)]
    if links:
        raise UserError(f"{path}: expected arrays in the file itself, found links ({examples(links)})")
    if groups := [name for name, item in file.items() if not isinstance(item, h5py.Dataset)]:
        raise UserError(f"{path}: expected arrays at the top level, found groups ({examples(groups)})")
    for name, dataset in file.items():
        if dataset.external or dataset.is_virtual:
            raise UserError(
                f"{path}: expected arrays in the file itself, found {name!r}, whose values lie in others"
            )
        stored = dataset.id.get_storage_size()
        if dataset.nbytes > _LEAST_ROOM + _MOST_PACKED * stored:
            raise UserError(
                f"{path}: {name!r} describes {dataset.shape} {dataset.dtype}, {dataset.nbytes:,} bytes, of which the "
                f"file holds {stored:,}"
            )
    return file


def _whole(dataset: "h5py.Dataset") -> np.ndarray:
    """The array in memory; strings as unicode."""
    import h5py

    if h5py.check_string_dtype(dataset.dtype) is not None:
        return np.asarray(dataset.asstr("utf-8")[()]).astype(str)
    if dataset.dtype.hasobject:
        raise ValueError(f"{dataset.name.strip('/')!r} holds objects")
    return np.asarray(dataset[()])
