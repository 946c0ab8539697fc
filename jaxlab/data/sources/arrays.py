"""Images and targets as arrays: one npz or HDF5 file, or a folder of npy files."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jaxlab.core.config import LATER, Location
from jaxlab.core.precision import narrowed
from jaxlab.core.types import Kind, Samples, UserError
from jaxlab.data.readers.arrays import load
from jaxlab.data.readers.odd_numbers import like_classes
from jaxlab.data.readers.tables import classes_of
from jaxlab.data.source import LEAVE_OUT, TO_TRY, Opened, Source, bad_ids, duplicates, examples, not_numbers
from jaxlab.data.sources.repeats import averaged

_KNOWN = ("images", "targets", "labels", "ids", "target_names", "test_images", "test_ids")


@dataclass(frozen=True, kw_only=True)
class Arrays(Source):
    """`images` with `targets` (n, t) or (n, r, t), or `labels` (n,); optional `ids`, `target_names`, `test_images`,
    `test_ids`.

    root: an npz or HDF5 file (.h5, .hdf5) with these keys, or a folder of npy files with these names. Any other array
        of shape (n,) is a column that a split can ask for; beside `test_images`, `test_NAME` is column NAME of these.
        The images of HDF5 files and folders stay on disk.
    channels_first: images are (n, c, h, w) instead of (n, h, w) or (n, h, w, c).
    missing_targets: NaN is a target that is not known, and is left out of loss and scores.

    Images are uint8 in 0 to 255, or floats that are taken as they are. Labels are class names, or whole
    numbers: positions in `target_names` where that is given. Of r repeats (NaN: missing) the average is the target,
    and they give the noise ceiling.
    """

    root: Location | None = None
    channels_first: bool = False
    missing_targets: bool = field(default=False, metadata=LATER)

    def open(self) -> Opened:
        arrays = _load(self.root)
        if problems := [
            *_missing(arrays),
            *_mismatched(self.root, arrays),
            *_misshapen(arrays, self.channels_first),
        ]:
            raise UserError(f"{self.root}: {'; '.join(problems)}")
        columns = {
            name: _text(self.root, name, values) for name, values in arrays.items() if name not in _KNOWN
        }
        of_test: dict[str, np.ndarray] = {}
        if "test_images" in arrays:
            of_test = {name[5:]: columns.pop(name) for name in list(columns) if name.startswith("test_")}
        target = label = ceiling = None
        if "targets" in arrays:
            target, ceiling = _targets(self.root, arrays["targets"], self.missing_targets)
            names = _target_names(self.root, arrays, target.shape[1])
        else:
            label, names = _labels(self.root, arrays)
        ids, read, checksum = self._images(arrays, "", "train")
        train = Samples(ids=ids, read=read, checksum=checksum, target=target, label=label, columns=columns)
        test = (
            Samples(*self._images(arrays, "test_", "test"), columns=of_test)
            if "test_images" in arrays
            else None
        )
        kind: Kind = "classification" if target is None else "regression"
        notes = () if target is None else _notes(self.root, target)
        return Opened(train=train, test=test, kind=kind, targets=names, ceiling=ceiling, notes=notes)

    def _images(
        self, arrays: Mapping[str, np.ndarray], prefix: str, split: str
    ) -> tuple[np.ndarray, Callable[[int], np.ndarray], Callable[[int], bytes]]:
        """ids, read and checksum of one split."""
        images = arrays[f"{prefix}images"]
        numbered = np.array([f"{split}-{position:06d}" for position in range(len(images))])
        ids = _text(self.root, f"{prefix}ids", arrays.get(f"{prefix}ids", numbered))
        return (
            ids,
            lambda position: _image(images[position], ids[position], self.channels_first),
            lambda position: hashlib.sha256(images[position].tobytes()).digest(),
        )


def _load(root: str | None) -> Mapping[str, Any]:
    if root is None:
        raise UserError(
            "data.root is not set: name an npz or HDF5 file, or a folder of npy files (--set data.root=PATH); "
            f"{TO_TRY}"
        )
    return load(Path(root), lazy=("images", "test_images"))


def _missing(arrays: Mapping[str, np.ndarray]) -> list[str]:
    problems = []
    if "images" not in arrays:
        problems.append("no array 'images'")
    if ("targets" in arrays) == ("labels" in arrays):
        problems.append("expected either 'targets' or 'labels'")
    if "test_ids" in arrays and "test_images" not in arrays:
        problems.append("'test_ids' without 'test_images'")
    return [*problems, f"found {examples(arrays, 10) or 'no array'}"] if problems else []


def _mismatched(root: str | None, arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Lengths that differ from the images', columns that are not (n,), ids that are empty or repeated."""
    problems = []
    for name, values in arrays.items():
        images = "test_images" if name.startswith("test_") else "images"
        if name in ("images", "test_images", "target_names") or images not in arrays:
            continue
        if arrays[images].ndim == 0:  # said of the images themselves
            continue
        n = len(arrays[images])
        flat = name not in ("targets", "labels")
        if values.ndim == 0 or len(values) != n or (flat and values.ndim != 1):
            asked = f", expected ({n},)" if flat and values.ndim != 1 else ""
            problems.append(f"{images!r} holds {n} images but {name!r} has shape {values.shape}{asked}")
        elif name in ("ids", "test_ids"):
            problems.extend(bad_ids(_text(root, name, values), name))
    return problems


def _misshapen(arrays: Mapping[str, np.ndarray], channels_first: bool) -> list[str]:
    problems = []
    for name in ("images", "test_images"):
        images = arrays.get(name)
        if images is None:
            continue
        if images.dtype != np.uint8 and images.dtype.kind != "f":
            how = ": divide them by the level that is white, as float32" if images.dtype.kind in "iu" else ""
            problems.append(f"{name!r}: expected uint8 or float, found {images.dtype}{how}")
        if channels_first and (images.ndim != 4 or images.shape[1] not in (1, 3)):
            problems.append(f"{name!r}: expected (n, 1 or 3, h, w), found {images.shape}")
        elif not channels_first and images.ndim != 3 and (images.ndim != 4 or images.shape[3] not in (1, 3)):
            hint = (
                " (set data.channels_first=true?)" if images.ndim == 4 and images.shape[1] in (1, 3) else ""
            )
            problems.append(f"{name!r}: expected (n, h, w) or (n, h, w, 1 or 3), found {images.shape}{hint}")
        elif images.size == 0:
            problems.append(f"{name!r}: expected at least one image, found {images.shape}")
    return problems


def _targets(root: str | None, values: np.ndarray, missing: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """(n, t) float32 or (`narrowed`) float64, averaged over repeats; and their ceiling (t,), where there are any."""
    if values.dtype.kind not in "fiu" or values.ndim not in (1, 2, 3) or 0 in values.shape:
        raise UserError(
            f"{root}: 'targets': expected numbers (n, t), or (n, repeats, t), found {values.dtype} {values.shape}"
        )
    if values.ndim == 3:
        try:
            return averaged(values, missing)
        except UserError as error:
            raise UserError(f"{root}: 'targets': {error}") from error
    target = narrowed(np.asarray(values).reshape(len(values), -1))
    bad = np.argwhere(not_numbers(target, missing))
    if len(bad):
        cells = examples(f"row {row}, column {column}" for row, column in bad.tolist())
        raise UserError(f"{root}: 'targets': {len(bad)} values are not finite ({cells}); {LEAVE_OUT}")
    return target, None


def _notes(root: str | None, target: np.ndarray) -> tuple[str, ...]:
    """Where one target may be the number of a class."""
    if target.shape[1] > 1 or not (numbers := like_classes(target[:, 0])):
        return ()
    return (
        f"{root}: 'targets' holds {len(numbers)} different whole numbers ({examples(numbers)}) and is taken for a "
        "number to predict (regression), not for classes; where they are classes, call the array 'labels'",
    )


def _target_names(root: str | None, arrays: Mapping[str, np.ndarray], count: int) -> tuple[str, ...]:
    numbered = np.array([f"t{column:05d}" for column in range(count)])
    names = _text(root, "target_names", arrays.get("target_names", numbered))
    if names.shape != (count,):
        raise UserError(f"{root}: 'targets' has {count} columns but 'target_names' has shape {names.shape}")
    return _distinct(root, names)


def _distinct(root: str | None, names: np.ndarray) -> tuple[str, ...]:
    if twice := duplicates(names).tolist():
        raise UserError(f"{root}: {len(twice)} target_names occur more than once ({examples(twice)})")
    return tuple(names.tolist())


def _text(root: str | None, name: str, values: np.ndarray) -> np.ndarray:
    """An array of names, or of whatever a column holds, as text; bytes are UTF-8."""
    try:
        if values.dtype.kind == "S":
            return np.char.decode(values, "utf-8")
        if values.dtype.kind in "UiufbMm":
            return values.astype(str)
    except UnicodeDecodeError as error:
        raise UserError(f"{root}: {name!r}: expected text in UTF-8 ({error})") from error
    raise UserError(f"{root}: {name!r}: expected text or numbers, found {values.dtype} {values.shape}")


def _labels(root: str | None, arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, tuple[str, ...]]:
    values = arrays["labels"]
    if values.dtype.kind not in "iuUS" or values.ndim != 1:
        raise UserError(
            f"{root}: 'labels': expected names or whole numbers (n,), found {values.dtype} {values.shape}"
        )
    if "target_names" not in arrays or values.dtype.kind in "US":
        return classes_of(_text(root, "labels", values))
    written = _text(root, "target_names", arrays["target_names"])
    if written.ndim != 1:
        raise UserError(f"{root}: 'target_names': expected a name for each class (n,), found {written.shape}")
    names = _distinct(root, written)
    if values.min() < 0 or values.max() >= len(names):
        raise UserError(
            f"{root}: 'labels': expected 0 to {len(names) - 1} for {len(names)} target_names, "
            f"found {values.min()} to {values.max()}"
        )
    return np.asarray(values, np.int32), names


def _image(stored: np.ndarray, image_id: str, channels_first: bool) -> np.ndarray:
    """(h, w, c) uint8 or float32."""
    image = stored[..., None] if stored.ndim == 2 else np.moveaxis(stored, 0, 2) if channels_first else stored
    if image.dtype == np.uint8:
        return np.asarray(image)
    image = np.asarray(image, np.float32)
    if not np.isfinite(image).all():
        raise UserError(f"image {image_id}: {int((~np.isfinite(image)).sum())} values are not finite")
    return image
