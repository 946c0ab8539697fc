"""What a network sees: images, or features that frozen encoders made of them; behind one protocol."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import jax
import numpy as np
from rich.console import Console

from jaxlab.core import tree
from jaxlab.core.blocks import Targets, taken
from jaxlab.core.config import differences, from_json
from jaxlab.core.types import FileWarning, Samples, UserError
from jaxlab.data.device.augment import Normalize
from jaxlab.data.device.channels import count_channels
from jaxlab.data.device.preprocess import Preprocess
from jaxlab.data.images import ImageRows, decode_splits, first_readable
from jaxlab.data.levels import Levels, at_levels, warn_of_dark
from jaxlab.data.source import Opened
from jaxlab.encode import CachedFeatures, Loaded, Resident, features, load_all
from jaxlab.experiment.experiment import Experiment
from jaxlab.experiment.task import Task
from jaxlab.objectives import Resolved
from jaxlab.pretext import check_posed
from jaxlab.training.sharding import Layout
from jaxlab.training.step import Prepare
from jaxlab.weights.preprocessing import check_intensities, described

EIGHT_BITS = (
    "images of 8 bits are seen from 0 (black) to 1 (white), and this run learned from floats: where these had another "
    "scale, as images that are normalised already, predictions are wrong; give images as floats of theirs"
)


@dataclass(frozen=True)
class Portion:
    """Some samples, ready to batch. ids (n,); rows: images (n, h, w, c), or shared; truth: {objective: (n, ...)}.

    label: (n,) classes that an epoch may be balanced by, or None. batch_of: as `Samples` have it.
    put: brings host batches to the devices where these hold features and truth; `rows` (n,) int32 are then rows of
    them. None: batches are put there as they are.
    """

    ids: np.ndarray
    rows: ImageRows
    truth: Mapping[str, Targets]
    label: np.ndarray | None = None
    put: Resident | None = None
    batch_of: np.ndarray | None = None

    @property
    def sent(self) -> tuple[ImageRows, Mapping[str, Targets]]:
        """Rows and truth as far as they are in the host's batches."""
        held = frozenset() if self.put is None else self.put.truths
        return self.rows, {name: values for name, values in self.truth.items() if name not in held}


class Input(Protocol):
    """Images or cached features."""

    @property
    def shape(self) -> tree.Shape:
        """(h, w, c) of what the network sees, or the shape of each cached feature by name.

        Raises UserError where images are too small for a part of the experiment.
        """

    @property
    def prepare(self) -> Prepare:
        """What the step does first."""

    @property
    def example(self) -> Any:
        """A batch of one, before `prepare`, as jax.ShapeDtypeStruct."""

    @property
    def further_channels(self) -> int:
        """How many channels the network sees beside the colours."""

    def notes(self, weights: Mapping[str, Any] | None) -> list[str]:
        """Lines on what the network sees, said as training begins. weights: the record of pretrained ones."""

    def portions(
        self, opened: Opened, positions: Sequence[np.ndarray], layout: Layout, console: Console | None = None
    ) -> list[Portion]:
        """The labelled samples at each of `positions`, decoded in one go, so that every fault is named at once."""

    def unlabelled(self, samples: Samples, rows: np.ndarray, layout: Layout) -> Portion:
        """The samples at `rows`, to predict."""


@dataclass(frozen=True)
class ImageInput:
    """Images, decoded once on the host and prepared on the device."""

    experiment: Experiment
    task: Task

    @cached_property
    def prepare(self) -> Preprocess:
        experiment, task = self.experiment, self.task
        return Preprocess(
            augmentations=experiment.augment,
            mix=experiment.mix,
            channels=experiment.channels,
            masks=task.masks,
            normalize=task.normalize,
        )

    @cached_property
    def shape(self) -> tree.Shape:
        rows = jax.ShapeDtypeStruct((2, *self.task.image_shape), self.task.image_dtype)
        keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 2))
        return jax.eval_shape(self.prepare, rows, keys).shape[1:]

    @property
    def example(self) -> Any:
        return jax.ShapeDtypeStruct((1, *self.task.image_shape), self.task.image_dtype)

    @property
    def further_channels(self) -> int:
        return self.task.masks + count_channels(self.experiment.channels)

    def notes(self, weights: Mapping[str, Any] | None) -> list[str]:
        if weights is None:
            return []
        prepared = described(self.task.images, self.task.normalize)
        return [f"weights {weights['source']}: {line}" for line in (prepared, *weights.get("notes", ()))]

    def portions(
        self, opened: Opened, positions: Sequence[np.ndarray], layout: Layout, console: Console | None = None
    ) -> list[Portion]:
        asked = self.experiment.images.size
        unresized = replace(self.task.images, size=asked)  # None: nothing is stretched unasked
        rows = decode_splits(opened.train, positions, unresized, self.task.images.size)
        _check_scale(rows[0], self.task.image_dtype)  # of a trained run, that is scored on other data
        truths = truth_of(self.task.objectives, opened.train)
        return [
            _portion(opened.train, truths, chosen, part) for chosen, part in zip(positions, rows, strict=True)
        ]

    def unlabelled(self, samples: Samples, rows: np.ndarray, layout: Layout) -> Portion:
        warn_of_dark(samples, self.task.images.levels, say)
        (images,) = decode_splits(samples, [rows], self.task.images)
        _check_scale(images, self.task.image_dtype)
        return Portion(samples.ids[rows], images, {})


def _check_scale(images: ImageRows, learned: str) -> None:
    """Raises UserError for floats that are not of the scale to which images of 8 bits are brought.

    learned: the dtype of images that the run learned from. Where that was floats, a warning for images of 8 bits.
    """
    values = images if isinstance(images, np.ndarray) else images.images
    if values.dtype == np.uint8 and learned != "uint8":
        warnings.warn(EIGHT_BITS, FileWarning, stacklevel=2)
    if values.dtype == np.uint8 or learned != "uint8" or not values.size:
        return
    low, high = float(values.min()), float(values.max())
    if not (low > -0.01 and high < 1.01):
        raise UserError(
            f"images: floats from {low:.3g} to {high:.3g}, where this run learned from images of 8 bits; expected 0 "
            "(black) to 1 (white)"
        )


@dataclass(frozen=True)
class FeatureInput:
    """Cached features, which lie on the devices as a whole; nothing is prepared."""

    experiment: Experiment
    task: Task
    made: tuple[Loaded, ...] | None = None
    run: str = "this run"  # for messages

    further_channels = 0

    @property
    def prepare(self) -> Prepare:
        return _as_they_are

    @property
    def shape(self) -> tree.Shape:
        return {name: tuple(shape) for one in self.task.encoders for name, shape in one["layers"].items()}

    @property
    def example(self) -> Any:
        return tree.example(self.shape)

    @cached_property
    def encoders(self) -> tuple[Loaded, ...]:
        """With their weights. Raises UserError where they are not those that the task was made with."""
        loaded = self.made or encoders_of(self.experiment, records=self.task.encoders)
        if changes := changed_encoders(self.task.encoders, [encoder.record() for encoder in loaded]):
            raise UserError(
                f"{self.run} was trained on features of other encoders: {'; '.join(changes)}. Encoders have "
                "to be as they were then; where weights lie may differ (--set data.encoders.0.model.pretrained=PATH)"
            )
        return loaded

    def notes(self, weights: Mapping[str, Any] | None) -> list[str]:
        return [f"encoder {encoder.about}" for encoder in self.encoders]

    def portions(
        self, opened: Opened, positions: Sequence[np.ndarray], layout: Layout, console: Console | None = None
    ) -> list[Portion]:
        """Features are those of all samples, so that other splits find them in the store; with a `limit`, of these."""
        samples, limit = opened.train, self.experiment.limit
        rows = np.arange(len(samples)) if limit is None else np.unique(np.concatenate(positions))
        truths = truth_of(self.task.objectives, samples)
        stored = {name: values[rows] for name, values in truths.items() if isinstance(values, np.ndarray)}
        put = Resident(layout, features(self.encoders, samples, rows, console), stored)
        return [
            _portion(samples, truths, chosen, np.searchsorted(rows, chosen).astype(np.int32), put)
            for chosen in positions
        ]

    def unlabelled(self, samples: Samples, rows: np.ndarray, layout: Layout) -> Portion:
        """Features are those of all samples, as training stored them."""
        warn_of_dark(samples, levels_of(self.task.encoders), say)
        put = Resident(layout, features(self.encoders, samples), {})
        return Portion(samples.ids[rows], rows.astype(np.int32), {}, put=put)


def say(line: str) -> None:
    """On the error stream, where progress and warnings go."""
    Console(stderr=True).print(line, highlight=False, markup=False, soft_wrap=True)


def encoders_of(
    experiment: Experiment, levels: Levels | None = None, records: Sequence[Mapping[str, Any]] = ()
) -> tuple[Loaded, ...]:
    """Those of cached features, with their weights; none of images. levels, records: as `load_all` takes them."""
    data = experiment.data
    return load_all(data.encoders, levels, records) if isinstance(data, CachedFeatures) else ()


def levels_of(records: Iterable[Mapping[str, Any]]) -> Levels | None:
    """`images.levels` that records of encoders name; None where none does."""
    images = (from_json(one["encoder"].get("images")) for one in records)
    return next((one.levels for one in images if one is not None and one.levels is not None), None)


def examined(
    experiment: Experiment,
    opened: Opened,
    objectives: tuple[Resolved, ...],
    encoders: Sequence[Loaded],
    levels: Levels | None = None,
) -> Task:
    """The task, told by the first readable image. levels: `images.levels`, where the experiment leaves them open.

    Raises UserError for images of another scale than expected.
    """
    images = experiment.images
    first = _first(experiment, opened)
    if experiment.normalize is None and not encoders:  # which look for themselves
        check_intensities(type(experiment.data).__name__, first)
    return Task(
        objectives=objectives,
        images=replace(images, size=images.size or first.shape[:2], levels=images.levels or levels),
        image_dtype=str(first.dtype),
        normalize=experiment.normalize or Normalize(),
        masks=opened.train.masks,
        encoders=tuple(encoder.record() for encoder in encoders),
    )


def posed_targets(experiment: Experiment, opened: Opened) -> tuple[str, ...]:
    """Names of what a pretext task asks of the images; none where there is no task.

    Raises UserError for images of another shape than it can take, and for ones with masks.
    """
    images, task = experiment.images, experiment.pretext
    if task is None:
        return ()
    if opened.train.masks:
        raise UserError(
            f"pretext={type(task).__name__}(): takes images without masks; give it the source that "
            f"{type(experiment.data).__name__} wraps"
        )
    size = images.size or _first(experiment, opened).shape[:2]
    shape = (*size, images.channels)
    targets = task.targets(shape)
    check_posed(task, shape)
    return targets


def _first(experiment: Experiment, opened: Opened) -> np.ndarray:
    """The first readable image."""
    return first_readable(at_levels(opened.train, experiment.images.levels), np.arange(len(opened.train)))


def truth_of(objectives: Sequence[Resolved], samples: Samples) -> dict[str, Targets]:
    """{objective: (n, ...)} of all samples, as batches carry it, and under a name of its own what `distill` says."""
    found = (
        (one, name, values)
        for one in objectives
        for name, values in ((one.name, one.truth(samples)), (one.taught_name, one.taught_by(samples)))
    )
    return {name: one.sent(values) for one, name, values in found if values is not None}


def changed_encoders(earlier: Sequence[dict[str, Any]], now: Sequence[dict[str, Any]]) -> list[str]:
    """What differs between two records of encoders, wherever their weights lay: `field: old -> new`."""
    before, after = (
        [{**one, "weights": None, "digest": one["digest"][:12]} for one in records]
        for records in (earlier, now)
    )
    return differences(before, after, "encoders")


def _as_they_are(images: Any, keys: Any) -> Any:
    return images


def _portion(
    samples: Samples,
    truths: Mapping[str, Targets],
    chosen: np.ndarray,
    rows: ImageRows,
    put: Resident | None = None,
) -> Portion:
    return Portion(
        ids=samples.ids[chosen],
        rows=rows,
        truth={name: taken(values, chosen) for name, values in truths.items()},
        label=None if samples.label is None else samples.label[chosen],
        put=put,
        batch_of=None if samples.batch_of is None else samples.batch_of[chosen],
    )
