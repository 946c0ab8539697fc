"""Image files: finding them by id, decoding one, and a list of them as Samples."""

import hashlib
import os
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps

from jaxlab.core.types import Samples, UserError
from jaxlab.data.source import TO_TRY

SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"))
_ORIENTATION = 0x0112  # the EXIF tag
BACKGROUND = 128  # shows through transparent pixels and fills padding: mid-grey, as in vision experiments
UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)


@dataclass(frozen=True)
class ImageFolder:
    """One folder, listed once. An id is a file's stem or its full name, after the folders that lead to it."""

    path: Path
    by_name: dict[str, Path]
    by_stem: dict[str, list[Path]]

    def find(self, image_id: str) -> Path | None:
        """The id's file; None where there is none, or where several files share the stem."""
        if image_id in self.by_name:
            return self.by_name[image_id]
        files = self.by_stem.get(image_id, [])
        return files[0] if len(files) == 1 else None

    def shared_stem(self, image_id: str) -> list[Path]:
        """The files between which `image_id` does not decide."""
        files = self.by_stem.get(image_id, [])
        return files if len(files) > 1 and image_id not in self.by_name else []


def list_folder(path: Path, within: Iterable[str] = ("",)) -> ImageFolder:
    """The image files directly inside `path`, sorted by name; hidden ones are left out.

    within: folders of `path` to list, "" for itself; names, stems and ids then begin with theirs, as `cat/001.png`.
    """
    by_name: dict[str, Path] = {}
    stems: dict[str, list[Path]] = {}
    for folder in sorted(within):
        prefix = f"{folder}/" if folder else ""
        for name in _visible(path / folder, os.DirEntry.is_file):
            if Path(name).suffix.lower() in SUFFIXES:
                by_name[prefix + name] = file = path / folder / name
                stems.setdefault(prefix + file.stem, []).append(file)
    return ImageFolder(path, by_name, stems)


def folders_of(path: Path, ids: np.ndarray) -> list[str]:
    """The folders in `path` that ids such as `m1/0001` lead to, "" for itself."""
    inner = {"", *(image_id.rpartition("/")[0] for image_id in ids.tolist())}
    return [within for within in inner if (path / within).is_dir()]


def list_folders(path: Path) -> list[str]:
    """The names of the folders directly inside `path`, sorted; hidden ones are left out."""
    return _visible(path, os.DirEntry.is_dir)


def _visible(path: Path, wanted: Callable[[os.DirEntry[str]], bool]) -> list[str]:
    with os.scandir(path) as entries:
        return sorted(entry.name for entry in entries if not entry.name.startswith(".") and wanted(entry))


def existing_folder(root: str | None) -> Path:
    """`root` as a path. Raises UserError where it is not set or not there."""
    if root is None:
        raise UserError(
            "data.root is not set: name the folder that holds the data (--set data.root=FOLDER; of cached features "
            f"--set data.data.root=FOLDER, of a source with masks --set data.source.root=FOLDER); {TO_TRY}"
        )
    if not Path(root).is_dir():
        raise UserError(
            f"data.root: expected a folder, found {'a file' if Path(root).exists() else 'nothing'} at {root}; {TO_TRY}"
        )
    return Path(root)


def file_samples(ids: np.ndarray, files: Sequence[Path], **fields: Any) -> Samples:
    """Samples whose images lie in `files`, in the order of `ids`; `fields` are those of Samples."""
    return Samples(
        ids=ids,
        read=lambda position: read_image(files[position]),
        checksum=lambda position: hashlib.sha256(files[position].read_bytes()).digest(),
        **fields,
    )


def read_image(path: Path) -> np.ndarray:
    """`decode_image` of a file."""
    return decode_image(path, str(path))


def decode_image(file: Path | BinaryIO, name: str) -> np.ndarray:
    """(h, w, 1) or (h, w, 3) uint8, upright as its EXIF orientation says; (h, w, 1) float32 for a float TIFF.

    Transparent pixels show mid-grey, 16-bit grey levels are divided by 257, of frames the first counts.
    Raises UserError that says `name` when the file is missing, truncated or not an image.
    """
    try:
        with Image.open(file) as image:
            # A copy each, even of images that are upright or RGB already, is what Pillow makes if asked.
            upright = image.getexif().get(_ORIENTATION, 1) == 1
            return _array(image if upright else ImageOps.exif_transpose(image))
    except UNREADABLE as error:
        raise UserError(f"{name}: cannot be decoded ({reason_of(error)})") from error


def reason_of(error: Exception) -> str:
    """Why Pillow could not decode a file, in a few words."""
    return "not an image" if isinstance(error, Image.UnidentifiedImageError) else str(error) or repr(error)


def _array(image: Image.Image) -> np.ndarray:
    if image.mode == "F":
        return np.asarray(image)[..., None]
    if image.mode.startswith("I"):
        return _from_16_bit(np.asarray(image))[..., None]
    if image.mode in ("1", "L"):
        return np.asarray(image if image.mode == "L" else image.convert("L"))[..., None]
    if image.has_transparency_data:
        above = image.convert("RGBA")
        ground = Image.new("RGBA", above.size, (BACKGROUND, BACKGROUND, BACKGROUND, 255))
        image = Image.alpha_composite(ground, above)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _from_16_bit(levels: np.ndarray) -> np.ndarray:
    if levels.min() < 0 or levels.max() > 65535:
        raise ValueError(f"integer pixels from {levels.min()} to {levels.max()}; expected 8 or 16 bits")
    return np.round(levels / 257).astype(np.uint8)
