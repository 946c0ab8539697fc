"""Segmentation masks beside images: one file a sample, as further channels that move with the image."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from jaxlab.core.config import Location
from jaxlab.core.types import Samples, UserError
from jaxlab.data.readers.decoding import opened_image
from jaxlab.data.readers.image_files import SUFFIXES, folders_of, list_folder
from jaxlab.data.resizing import resize
from jaxlab.data.source import Opened, Results, Source, examples
from jaxlab.data.sources.simulated import Simulated


@dataclass(frozen=True, kw_only=True)
class WithMasks(Source):
    """The images of another source, each with the mask of its id.

    source: where everything else comes from (`--set data.source.root=FOLDER`).
    masks: a folder of grey or palette images, named by id, of training and test samples alike: for `m1/0001` and for
        `m1/0001.jpg` that is `m1/0001.png`. A mask of another size is stretched to the image's (nearest pixel), but
        must have its proportions.
    classes: a mask's values are class numbers 0 to classes - 1, and each class is a channel (1 inside, 0 outside).
        Default: one channel of grey levels, 0 to 1.
    """

    source: Source = Simulated()
    masks: Location | None = None
    classes: int | None = None

    @property
    def mirrors(self) -> frozenset[str]:
        return self.source.mirrors

    @property
    def missing_targets(self) -> bool:
        return self.source.missing_targets

    def results(self, split: str) -> Results | None:
        return self.source.results(split)

    def check(self) -> None:
        if self.classes is not None and not 2 <= self.classes <= 256:
            raise UserError(f"WithMasks.classes: expected 2 to 256, found {self.classes}")

    def open(self) -> Opened:
        opened, folder = self.source.open(), self._folder()
        problems: list[str] = []
        train = self._with_masks(opened.train, folder, problems)
        test = None if opened.test is None else self._with_masks(opened.test, folder, problems)
        if problems:
            raise UserError("; ".join(problems))
        return replace(opened, train=train, test=test)

    def open_test(self) -> tuple[Samples | None, Path | None]:
        test, sample = self.source.open_test()
        problems: list[str] = []
        with_masks = None if test is None else self._with_masks(test, self._folder(), problems)
        if problems:
            raise UserError("; ".join(problems))
        return with_masks, sample

    def _folder(self) -> Path:
        if self.masks is None:
            raise UserError(
                "data.masks is not set: name the folder that holds them (--set data.masks=FOLDER)"
            )
        if not Path(self.masks).is_dir():
            raise UserError(f"data.masks: expected a folder, found nothing of the kind at {self.masks}")
        return Path(self.masks)

    def _with_masks(self, samples: Samples, path: Path, problems: list[str]) -> Samples:
        """`samples` whose images have masks; ids without one are added to `problems`."""
        folder = list_folder(path, folders_of(path, samples.ids))
        files = [folder.find(name) or folder.find(_stem(name)) for name in samples.ids.tolist()]
        absent = [name for name, file in zip(samples.ids.tolist(), files, strict=True) if file is None]
        if absent:
            problems.append(
                f"{folder.path}: no mask, or several, for {len(absent)} of {len(files)} ids ({examples(absent)}); "
                f"it holds {len(folder.by_name)} images ({examples(folder.by_name, 2)}; a mask is named by the id)"
            )
        found = [file for file in files if file is not None]
        return replace(
            samples,
            read=lambda position: self._joined(samples.read(position), found[position]),
            checksum=_checksum(samples, found, self.classes),
            image_of=None,  # images that samples share have a mask for each of these
            masks=self.classes or 1,
        )

    def _joined(self, image: np.ndarray, file: Path) -> np.ndarray:
        """(h, w, c + masks) of the image's dtype: uint8 masks up to 255, float ones up to 1."""
        mask = _read(file)
        (height, width), (rows, columns) = image.shape[:2], mask.shape
        if abs(height * columns - width * rows) > max(height * columns, width * rows) / 50:
            raise UserError(f"{file}: the mask is {rows} x {columns}, the image {height} x {width}")
        levels = mask[..., None] / np.float32(255)
        if self.classes is not None:
            if mask.max() >= self.classes:
                raise UserError(
                    f"{file}: expected class numbers 0 to {self.classes - 1}, found {np.unique(mask)[-5:].tolist()}; "
                    "for a mask of grey levels leave classes out"
                )
            levels = np.eye(self.classes, dtype=np.float32)[mask]
        full = 255 if image.dtype == np.uint8 else 1
        masks = np.round(levels * full).astype(image.dtype) if full > 1 else levels.astype(image.dtype)
        return np.concatenate([image, resize(masks, (height, width), "stretch", "nearest")], axis=-1)


def _stem(image_id: str) -> str:
    """An id that is the name of an image file, without its suffix."""
    path = PurePosixPath(image_id)
    return str(path.with_suffix("")) if path.suffix.lower() in SUFFIXES else image_id


def _checksum(samples: Samples, files: list[Path], classes: int | None) -> Callable[[int], bytes]:
    def checksum(position: int) -> bytes:
        sha = hashlib.sha256(samples.checksum(position) + f" mask of {classes} ".encode())
        sha.update(files[position].read_bytes())
        return sha.digest()

    return checksum


def _read(file: Path) -> np.ndarray:
    """(h, w) uint8: grey levels, or a palette's numbers; two-level images as 0 and 255.

    Raises UserError that names a file which is not such an image.
    """
    with opened_image(file, str(file)) as image:
        if image.mode not in ("1", "L", "P"):
            raise UserError(f"{file}: expected a mask of 8-bit grey levels or a palette, found {image.mode}")
        return np.asarray(image.convert("L") if image.mode == "1" else image)
