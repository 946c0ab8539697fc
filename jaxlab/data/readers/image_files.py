"""Image files: finding them by id, and a list of them as Samples."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from jaxlab.core.types import Samples, UserError
from jaxlab.core.words import counted
from jaxlab.data.readers.decoding import decode_image, stored_levels
from jaxlab.data.source import TO_TRY, examples
from submit.near_names import composed

SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm"))
# Images that are left out: of formats that are not read, or by names that are not looked for.
_UNREAD = frozenset(
    (".heic", ".heif", ".avif", ".jp2", ".j2k", ".jxl", ".jfif", ".jpe", ".svg", ".psd", ".tga")
)
_UNREAD |= {".exr", ".hdr", ".dcm", ".dng", ".nef", ".cr2", ".arw"}


@dataclass(frozen=True)
class ImageFolder:
    """One folder, listed once. An id is a file's stem or its full name, after the folders that lead to it.

    unread: names of images that are left out, by their suffix.
    """

    path: Path
    by_name: dict[str, Path]
    by_stem: dict[str, list[Path]]
    unread: tuple[str, ...] = ()

    def find(self, image_id: str) -> Path | None:
        """The id's file; None where there is none, or where several files share the stem.

        A name of the same letters in another Unicode form is the same, where it is the only one.
        """
        files = self._files(image_id)
        return files[0] if len(files) == 1 else None

    def shared_stem(self, image_id: str) -> list[Path]:
        """The files between which `image_id` does not decide."""
        files = self._files(image_id)
        return files if len(files) > 1 else []

    def _files(self, image_id: str) -> list[Path]:
        if image_id in self.by_name:
            return [self.by_name[image_id]]
        return self.by_stem.get(image_id) or self._composed.get(composed(image_id), [])

    @cached_property
    def _composed(self) -> dict[str, list[Path]]:
        """Files by names and stems in composed form, of those that have another one or stand beside it."""
        found: dict[str, dict[Path, None]] = {}
        for name, file in self.by_name.items():
            found.setdefault(composed(name), {})[file] = None
        for stem, files in self.by_stem.items():
            found.setdefault(composed(stem), {}).update(dict.fromkeys(files))
        return {name: list(files) for name, files in found.items()}


def list_folder(path: Path, within: Iterable[str] = ("",)) -> ImageFolder:
    """The image files directly inside `path`, sorted by name; hidden ones are left out.

    within: folders of `path` to list, "" for itself; names, stems and ids then begin with theirs, as `cat/001.png`.
    Raises UserError for a name that is no text.
    """
    by_name: dict[str, Path] = {}
    stems: dict[str, list[Path]] = {}
    unread: list[str] = []
    for folder in sorted(within):
        prefix = f"{folder}/" if folder else ""
        inside = path / folder
        for name in _visible(inside, os.DirEntry.is_file):
            stem, _, suffix = name.rpartition(".")
            if f".{suffix.lower()}" in SUFFIXES:
                _check_text(inside, name)
                by_name[prefix + name] = file = inside / name
                stems.setdefault(prefix + stem, []).append(file)
            elif f".{suffix.lower()}" in _UNREAD:
                unread.append(prefix + name)
    return ImageFolder(path, by_name, stems, tuple(unread))


def left_out(folder: ImageFolder) -> tuple[str, ...]:
    """A line on the images of a folder that are not read, where there are some."""
    if not folder.unread:
        return ()
    are = counted(len(folder.unread), "file is", "files are")
    return (
        f"{folder.path}: {are} left out, images of a kind that is not read, or not by that name "
        f"({examples(folder.unread)}); save them as .png or .jpg",
    )


def folders_in(path: Path) -> Iterator[str]:
    """ "" for itself, then each folder in it, however deep; hidden ones are left out, and links are not followed."""
    for folder, inside, _ in os.walk(path):
        inside[:] = [name for name in inside if not name.startswith(".")]
        within = Path(folder).relative_to(path).as_posix()
        yield "" if within == "." else within


def folders_of(path: Path, ids: np.ndarray) -> list[str]:
    """The folders in `path` that ids such as `m1/0001` lead to, "" for itself."""
    inner = {"", *(image_id.rpartition("/")[0] for image_id in ids.tolist())}
    found = (within if (path / within).is_dir() else _folder_like(path, within) for within in inner)
    return sorted({within for within in found if within is not None})


def _folder_like(path: Path, within: str) -> str | None:
    """The folder of the same letters in another Unicode form, as it is written; None where there is none."""
    if within.isascii():
        return None
    found = ""
    for part in within.split("/"):
        folder = path / found
        alike = (
            [name for name in list_folders(folder) if composed(name) == composed(part)]
            if folder.is_dir()
            else []
        )
        if len(alike) != 1:
            return None
        found = f"{found}/{alike[0]}" if found else alike[0]
    return found


def list_folders(path: Path) -> list[str]:
    """The names of the folders directly inside `path`, sorted; hidden ones are left out.

    Raises UserError for a name that is no text.
    """
    names = _visible(path, os.DirEntry.is_dir)
    for name in names:
        _check_text(path, name)
    return names


def _check_text(folder: Path, name: str) -> None:
    """Names become ids and classes, which are written as UTF-8; on Linux a file may be called by any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UserError(
            f"{folder}: the name {os.fsencode(name)!r} is not UTF-8, as of an old archive; rename it"
        ) from None


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
        deep=lambda position: stored_levels(files[position], str(files[position])),
        **fields,
    )


def read_image(path: Path) -> np.ndarray:
    """`decode_image` of a file."""
    return decode_image(path, str(path))
