"""Sensorium 2022 and folders like it: one recording session, one npy file a trial."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxlab.core.config import LATER, Location
from jaxlab.core.precision import moments
from jaxlab.core.types import Samples, UserError
from jaxlab.data.readers.grey_levels import are_whole, from_levels, looked_at
from jaxlab.data.readers.image_files import existing_folder
from jaxlab.data.readers.npy import read_npy
from jaxlab.data.readers.npy_trials import absent, read_trial, stacked
from jaxlab.data.source import LEAVE_OUT, Opened, Source, duplicates, examples, not_numbers
from jaxlab.data.sources.repeats import by_image
from submit.late import Late

if TYPE_CHECKING:
    from submit import ceilings
else:
    ceilings = Late("submit.metrics.ceilings")

_LABELLED, _TEST = ("train", "validation"), ("test", "final_test")
_META = ("trials/tiers", "trials/frame_image_id", "trials/trial_idx", "neurons/unit_ids")


@dataclass(frozen=True, kw_only=True)
class Sensorium(Source):
    """A sample is a trial; its id is its trial_idx. Tiers `train` and `validation` are labelled, `test` and
    `final_test` are to predict, trials of other tiers are left out. Divide with ColumnSplit(column="tier",
    validation="validation").

    root: the session's folder: data/{images,responses,behavior,pupil_center}/X.npy, X the position of the trial in
        meta/trials/{tiers,frame_image_id,trial_idx}.npy; and meta/neurons/unit_ids.npy, the targets' names.
    missing_targets: NaN is a response that is not known, and is left out of the deviation, loss and scores.

    As in neuralpredictors, each neuron's responses are divided by their standard deviation over the training tier, or
    by 1% of the neurons' mean deviation where that is more; no mean is subtracted. Columns: tier, frame_image_id and,
    where there, behavior and pupil_center (n, k), as stored. Images (1 or 3, h, w), levels 0 to 255 or 0 to 1, come
    out as uint8 where they are whole levels. Trials of one frame_image_id show the same image. Where test images were
    repeated and their responses are there, they give the ceiling: the share of single trials' variance that is
    signal (submit.ceilings.explainable_variance, at least 0).
    """

    root: Location | None = None
    missing_targets: bool = field(default=False, metadata=LATER)

    def open(self) -> Opened:
        root = existing_folder(self.root)
        meta = _meta(root)
        tiers = meta["trials/tiers"]
        labelled, test = (np.flatnonzero(np.isin(tiers, names)) for names in (_LABELLED, _TEST))
        if not (tiers == "train").any():
            raise UserError(
                f"{root / 'meta/trials/tiers.npy'}: expected trials of tier 'train', found {examples(np.unique(tiers))}"
            )
        scale, whole = _looked_at(root, np.concatenate([labelled, test]))
        responses = _responses(root, labelled, meta["neurons/unit_ids"], self.missing_targets)
        deviation = _deviation(responses[tiers[labelled] == "train"], root)
        responses /= deviation
        return Opened(
            train=_samples(root, meta, labelled, scale, whole, target=responses),
            test=_samples(root, meta, test, scale, whole) if len(test) else None,
            kind="regression",
            targets=tuple(meta["neurons/unit_ids"].tolist()),
            ceiling=_ceiling(root, test, meta),
            notes=tuple(_half_there(root, test, tiers)),
        )


def _meta(root: Path) -> dict[str, np.ndarray]:
    """The arrays of meta/ by name: tiers and neurons as text. Raises UserError with all that is amiss."""
    problems: list[str] = []
    found: dict[str, np.ndarray] = {}
    for name in _META:
        path = root / "meta" / f"{name}.npy"
        try:
            found[name] = read_npy(path)
        except UserError as error:
            problems.append(str(error))
    shapes = {name: values.shape for name, values in found.items()}
    trials = {shape for name, shape in shapes.items() if name.startswith("trials/")}
    if len(trials) > 1 or any(len(shape) != 1 for shape in shapes.values()):
        told = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        problems.append(f"{root / 'meta'}: expected one value a trial and one a neuron, found {told}")
    for name in ("trials/trial_idx", "neurons/unit_ids"):
        if name in found and (twice := duplicates(found[name]).tolist()):
            problems.append(
                f"{root / 'meta' / name}.npy: {len(twice)} values more than once ({examples(twice)})"
            )
    if problems:
        raise UserError("; ".join(problems))
    return {
        name: values if name == "trials/frame_image_id" else values.astype(str)
        for name, values in found.items()
    }


def _responses(root: Path, rows: np.ndarray, neurons: np.ndarray, missing: bool) -> np.ndarray:
    """(n, t) float32 as stored. missing: whether NaN stands for one that is not known."""
    folder = root / "data" / "responses"
    responses = stacked(folder, rows)
    problems = []
    if responses.shape[1] != len(neurons):
        problems.append(
            f"{folder}: a trial has {responses.shape[1]} responses, but unit_ids.npy names {len(neurons)} neurons"
        )
    if len(bad := np.flatnonzero(not_numbers(responses, missing).any(1))):
        files = examples(f"{row}.npy" for row in rows[bad].tolist())
        problems.append(f"{folder}: {len(bad)} trials hold values that are not finite ({files}); {LEAVE_OUT}")
    if problems:
        raise UserError("; ".join(problems))
    return responses


def _deviation(responses: np.ndarray, root: Path) -> np.ndarray:
    """(t,) what the responses are divided by: their deviation, at least 1% of the mean one.

    Those of which nothing is known are divided by that; training refuses them.
    """
    deviation = responses.std(0, dtype=np.float64)
    if np.isnan(deviation).any():
        deviation = moments(responses.astype(np.float64))[1]
    seen = ~np.isnan(responses).all(0)
    least = 0.01 * deviation[seen].mean() if seen.any() else 0.0
    if least == 0:
        raise UserError(f"{root / 'data/responses'}: every neuron is constant over the training tier")
    return np.maximum(deviation, least).astype(np.float32)


def _looked_at(root: Path, rows: np.ndarray) -> tuple[float, bool]:
    """What turns stored values into levels 0 to 255, and whether these are whole numbers."""
    folder = root / "data" / "images"
    if missing := absent(folder, rows):
        raise UserError(f"{folder}: {len(missing)} of {len(rows)} trials have no image ({examples(missing)})")
    images = [_stored(folder, row) for row in rows[looked_at(len(rows))].tolist()]
    low, high = (float(end([end(image) for image in images])) for end in (np.min, np.max))
    if not (low >= 0 and high <= 255):
        raise UserError(
            f"{folder}: expected levels 0 to 255 or 0 to 1, found {low:.4g} to {high:.4g}: normalised already?"
        )
    scale = 255.0 if high <= 1 and images[0].dtype.kind == "f" else 1.0
    return scale, all(are_whole(image * scale) for image in images)


def _stored(folder: Path, row: int) -> np.ndarray:
    """(h, w, c) numbers as they are."""
    image = read_trial(folder / f"{row}.npy")
    image = image[None] if image.ndim == 2 else image
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise UserError(f"{folder / f'{row}.npy'}: expected (1 or 3, h, w), found {image.shape}")
    return np.moveaxis(image, 0, 2)


def _samples(
    root: Path, meta: Mapping[str, np.ndarray], rows: np.ndarray, scale: float, whole: bool, **fields: Any
) -> Samples:
    images = root / "data" / "images"
    tier, shown = (meta[f"trials/{name}"][rows] for name in ("tiers", "frame_image_id"))
    columns = {"tier": tier, "frame_image_id": shown}
    for name in ("behavior", "pupil_center"):
        if (root / "data" / name).is_dir():
            columns[name] = stacked(root / "data" / name, rows)

    def read(position: int) -> np.ndarray:
        levels = _stored(images, int(rows[position])) * np.float64(scale)
        return from_levels(levels, whole, str(images / f"{rows[position]}.npy"))

    return Samples(
        ids=meta["trials/trial_idx"][rows],
        read=read,
        checksum=lambda position: hashlib.sha256((images / f"{rows[position]}.npy").read_bytes()).digest(),
        columns=columns,
        image_of=np.unique(shown, return_inverse=True)[1],
        **fields,
    )


def _half_there(root: Path, rows: np.ndarray, tiers: np.ndarray) -> Iterator[str]:
    """Tiers to predict that have responses to some trials and none to others."""
    folder = root / "data" / "responses"
    for tier in np.unique(tiers[rows]).tolist():
        of_tier = rows[tiers[rows] == tier]
        missing = absent(folder, of_tier)
        if 0 < len(missing) < len(of_tier):
            yield (
                f"{folder}: {len(missing)} of {len(of_tier)} trials of tier {tier!r} have no file "
                f"({examples(missing)}), so that there is no ceiling: half a download?"
            )


def _ceiling(root: Path, rows: np.ndarray, meta: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """(t,) from the repeats of test images; None where there are none, or the responses are withheld or blank."""
    folder = root / "data" / "responses"
    if not len(rows) or absent(folder, rows):
        return None
    responses, shown = stacked(folder, rows), meta["trials/frame_image_id"][rows]
    if not len(duplicates(shown)) or not np.nan_to_num(responses).any():
        return None
    return np.clip(ceilings.explainable_variance(by_image(responses, shown)), 0, 1)
