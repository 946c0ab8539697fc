"""NX-414's IT_data.h5: images of objects and the mean rates of 168 neurons of macaque IT."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jaxlab.core.config import LATER, Location
from jaxlab.core.precision import narrowed
from jaxlab.core.types import Samples, UserError
from jaxlab.data.readers.arrays import open_hdf5
from jaxlab.data.readers.grey_levels import are_whole, from_levels, looked_at
from jaxlab.data.readers.tables import classes_of
from jaxlab.data.source import LEAVE_OUT, TO_TRY, Opened, Source, examples, not_numbers

_MEAN, _STD = (
    np.array(v).reshape(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
)  # ImageNet's
_SPLITS = ("train", "val")


@dataclass(frozen=True, kw_only=True)
class NX414(Source):
    """The training and validation images of the file, its own division in the column `split`: split=ColumnSplit().

    root: the HDF5 file, with `stimulus_{train,val,test}` (n, 3, h, w), `spikes_{train,val}` (n, t) and
        `object_{train,val,test}` (n,) names in latin-1; images are read one at a time.
    missing_targets: NaN is a rate that is not known, and is left out of loss and scores.

    Targets are the spikes, labels the objects, which are a column `object` too. The stored images are floats that
    ImageNet's mean and standard deviation have normalised; that is undone, so that the experiment normalises once,
    as its weights want it: they come out as uint8 where they were levels 0 to 255, else as floats 0 to 1.
    """

    root: Location | None = None
    missing_targets: bool = field(default=False, metadata=LATER)

    def open(self) -> Opened:
        if self.root is None:
            raise UserError(
                f"data.root is not set: name the HDF5 file (--set data.root=IT_data.h5); {TO_TRY}"
            )
        file = open_hdf5(Path(self.root))
        if problems := _faults(file):
            raise UserError(f"{self.root}: {'; '.join(problems)}")
        whole = _looked_at(self.root, file)
        spikes = narrowed(np.concatenate([file[f"spikes_{split}"][()] for split in _SPLITS]))
        if bad := int(not_numbers(spikes, self.missing_targets).sum()):
            raise UserError(
                f"{self.root}: {bad} values of spikes_train and spikes_val are not finite; {LEAVE_OUT}"
            )
        objects = np.concatenate([_names(file[f"object_{split}"][()]) for split in _SPLITS])
        label, classes = classes_of(objects)
        columns = {"split": _repeated(file, _SPLITS), "object": objects}
        digits = len(str(spikes.shape[1] - 1))
        return Opened(
            train=_samples(file, _SPLITS, whole, target=spikes, label=label, columns=columns),
            test=_test(file, whole),
            kind="regression",
            targets=tuple(f"n{neuron:0{digits}d}" for neuron in range(spikes.shape[1])),
            classes=classes,
        )


def _faults(file: Mapping[str, Any]) -> list[str]:
    """Arrays that are missing, of another shape, or of another length than the split's images."""
    wanted = [f"{kind}_{split}" for kind in ("stimulus", "spikes", "object") for split in _SPLITS]
    if missing := [name for name in wanted if name not in file]:
        return [f"no array {examples(missing, 6)}; found {examples(file, 10) or 'none'}"]
    problems = []
    for split in (*_SPLITS, "test"):
        if f"stimulus_{split}" not in file:
            continue
        images = file[f"stimulus_{split}"]
        if images.ndim != 4 or images.shape[1] != 3 or images.dtype.kind != "f" or not images.size:
            problems.append(
                f"stimulus_{split}: expected floats (n, 3, h, w), found {images.dtype} {images.shape}"
            )
        for kind, axes in (("spikes", 2), ("object", 1)):
            name = f"{kind}_{split}"
            if name in file and (file[name].ndim != axes or len(file[name]) != len(images)):
                problems.append(
                    f"stimulus_{split} holds {len(images)} images but {name} is {file[name].shape}"
                )
        if split in _SPLITS and file[f"spikes_{split}"].dtype.kind not in "fiu":
            problems.append(f"spikes_{split}: expected numbers, found {file[f'spikes_{split}'].dtype}")
    neurons = [file[f"spikes_{split}"].shape[-1] for split in _SPLITS if file[f"spikes_{split}"].ndim == 2]
    if len(set(neurons)) > 1:
        problems.append(f"spikes_train has {neurons[0]} neurons, spikes_val {neurons[1]}")
    return problems


def _looked_at(root: str, file: Mapping[str, Any]) -> bool:
    """Whether the images were whole levels 0 to 255 before they were normalised.

    Raises UserError where the range says that they are not normalised by ImageNet's mean and deviation, or twice.
    """
    some = [_spread(file[f"stimulus_{split}"]) for split in (*_SPLITS, "test") if f"stimulus_{split}" in file]
    images = np.concatenate(some)
    low, high = float(images.min()), float(images.max())
    levels = _levels(images)
    # Black and white are -2.12 to -1.80 and 2.25 to 2.64, by channel; (x - 0.5) / 0.5 would end at -1 and 1.
    if not (low < -1.05 and high > 1.05 and levels.min() > -0.5 and levels.max() < 255.5):
        raise UserError(
            f"{root}: expected images that ImageNet's mean and deviation have normalised, about -2.1 to 2.6; found "
            f"{low:.4g} to {high:.4g}, which {_guess(low, high)}"
        )
    return are_whole(levels)


def _guess(low: float, high: float) -> str:
    if low >= 0:
        scale = "0 to 1" if high <= 1 else "0 to 255"
        return f"looks like {scale}, not normalised: use Arrays for it"
    if low > -0.02 and high < 0.02:
        return "looks normalised and then divided by 255"
    if -20 < low < -2.2 and high < 20:
        return "looks normalised twice"
    return "is another normalisation"


def _spread(images: Any) -> np.ndarray:
    """Some images from first to last, float64."""
    return np.asarray(images[looked_at(len(images))], np.float64)


def _levels(normalized: np.ndarray) -> np.ndarray:
    return (normalized * _STD + _MEAN) * 255


def _repeated(file: Mapping[str, Any], splits: tuple[str, ...]) -> np.ndarray:
    """(n,) the split of each image."""
    return np.repeat(splits, [len(file[f"stimulus_{split}"]) for split in splits])


def _samples(file: Mapping[str, Any], splits: tuple[str, ...], whole: bool, **fields: Any) -> Samples:
    places = [(split, row) for split in splits for row in range(len(file[f"stimulus_{split}"]))]

    def stored(position: int) -> np.ndarray:
        split, row = places[position]
        return file[f"stimulus_{split}"][row]

    ids = np.array([f"{split}-{row:06d}" for split, row in places])
    return Samples(
        ids=ids,
        read=partial(_read, stored, ids, whole),
        checksum=lambda position: hashlib.sha256(stored(position).tobytes()).digest(),
        **fields,
    )


def _read(stored: Callable[[int], np.ndarray], ids: np.ndarray, whole: bool, position: int) -> np.ndarray:
    levels = np.moveaxis(_levels(stored(position).astype(np.float64)), 0, 2)
    return from_levels(levels, whole, str(ids[position]))


def _test(file: Mapping[str, Any], whole: bool) -> Samples | None:
    if "stimulus_test" not in file:
        return None
    columns = {"object": _names(file["object_test"][()])} if "object_test" in file else {}
    return _samples(file, ("test",), whole, columns=columns)


def _names(stored: np.ndarray) -> np.ndarray:
    """(n,) unicode."""
    return np.array([name.decode("latin-1") if isinstance(name, bytes) else str(name) for name in stored])
