"""Images that a user hands to a trained run: an array, files or a folder."""

import hashlib
import io
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxlab.core.types import FileWarning, Samples, UserError
from jaxlab.data.readers.decoding import decode_image, stored_levels
from jaxlab.data.readers.image_files import SUFFIXES, file_samples, folders_in, left_out, list_folder


def given_samples(images: np.ndarray | str | Path | Sequence[str | Path], dtype: str) -> Samples:
    """What `Run.predict` takes, as a source would hand it over. Raises UserError for anything else."""
    if isinstance(images, np.ndarray):
        array = _checked(images, dtype)
        array = array[..., None] if array.ndim == 3 else array
        return Samples(
            ids=np.arange(len(array)).astype(str),
            read=lambda position: array[position],
            checksum=lambda position: hashlib.sha256(array[position].tobytes()).digest(),
        )
    if isinstance(images, str | Path):
        by_id = _files_at(Path(images))
        return file_samples(np.array(list(by_id), dtype=str), list(by_id.values()))
    files = _listed(images)
    return file_samples(np.array([file.name for file in files], dtype=str), files)


def encoded_samples(images: Sequence[bytes], names: Sequence[str]) -> Samples:
    """Images as files hold them, and what messages call them."""
    return Samples(
        ids=np.array(names, dtype=str),
        read=lambda position: decode_image(io.BytesIO(images[position]), names[position]),
        checksum=lambda position: hashlib.sha256(images[position]).digest(),
        deep=lambda position: stored_levels(io.BytesIO(images[position]), names[position]),
    )


def _listed(images: Any) -> list[Path]:
    files = list(images) if isinstance(images, Iterable) else [images]
    if other := [type(one).__name__ for one in files if not isinstance(one, str | Path)]:
        kind = type(images).__name__
        raise UserError(
            "images: expected a numpy array (n, h, w, c), a file, a list of files or a folder, found "
            f"{kind if other[0] == kind else f'{kind} of {other[0]}'}; np.stack(IMAGES) makes one array of several, "
            "np.asarray(IMAGES) one of another library's"
        )
    if not files:
        raise UserError("images: expected one or more, found an empty list")
    return [Path(one) for one in files]


def _files_at(path: Path) -> dict[str, Path]:
    """A file, or a folder's images, those of folders in it too, by name. Raises UserError where there is none."""
    if not path.is_dir():
        if not path.is_file():
            raise UserError(f"images: nothing at {path}; expected a folder of images, or one")
        return {path.name: path}
    found = list_folder(path, folders_in(path))
    lines = left_out(found)
    if not found.by_name:
        none = f"images: {path} holds none (a file that ends in {', '.join(sorted(SUFFIXES))})"
        raise UserError("; ".join([none, *lines]))
    for line in lines:
        warnings.warn(line, FileWarning, stacklevel=2)
    return found.by_name


def _checked(images: np.ndarray, dtype: str) -> np.ndarray:
    """Raises UserError for an array that is not images as the run's own data hold them: its numbers would mislead."""
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3)):
        raise UserError(f"images: expected (n, h, w), (n, h, w, 1) or (n, h, w, 3), found {images.shape}")
    if images.ndim == 3 and images.shape[2] in (1, 3):
        raise UserError(f"images: {images.shape} looks like one image; pass images[None]")
    if str(images.dtype) != dtype:
        raise UserError(f"images: expected {dtype}, as the run was trained on, found {images.dtype}")
    return images
