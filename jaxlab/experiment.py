"""The root of a config, and how its parts and the data are wired into a program; `fit` and `run` carry it out."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

import jax
import numpy as np
from flax import nnx

from jaxlab import tree
from jaxlab.config import Component, from_json, to_json
from jaxlab.data.augment import Augmentation, Flip, Normalize
from jaxlab.data.balance import Balance, MirrorCopies
from jaxlab.data.channels import Channel, count_channels
from jaxlab.data.images import Images, first_readable
from jaxlab.data.inputs import Inputs
from jaxlab.data.mix import Mix
from jaxlab.data.simulated import Simulated
from jaxlab.data.source import Opened, Source
from jaxlab.data.split import RandomSplit, Split
from jaxlab.encode import CachedFeatures, Loaded
from jaxlab.heads import Head, Linear, Squashed, build_network
from jaxlab.losses import Loss, Mse
from jaxlab.metrics import start
from jaxlab.models.base import Model
from jaxlab.models.features import Features
from jaxlab.models.shallow_cnn import ShallowCNN
from jaxlab.optim import AdamW, FineTune, Optimizer
from jaxlab.rng import initial_key
from jaxlab.training.runtime import compute_dtype, prepare
from jaxlab.training.sharding import Parallel
from jaxlab.training.step import Program
from jaxlab.types import Kind, UserError
from jaxlab.weights.preprocessing import check_intensities, prepared
from jaxlab.weights.read import without_download

Shapes = tuple[nnx.GraphDef, nnx.State, nnx.State]

_TARGETS = (
    512  # whose mean and deviation are taken at a time: in float64, all of a whole brain would be gigabytes
)


@dataclass(frozen=True, kw_only=True)
class Training(Component):
    """How long, in what pieces and on what to train.

    epochs or steps: the length of the run. batch_size: images in one update, over all devices.
    accumulate: the update's gradient is summed over so many parts of the batch, one after the other.
    dtype: of the forward and backward pass; parameters stay float32.
    ema: decay of the parameters' moving average, which evaluation then uses; None keeps none.
    metric: the validation score that picks the best checkpoint; default Pearson r or accuracy.
    early_stopping: epochs without a better metric before the run stops.
    checkpoint_steps: checkpoints within epochs too, every so many updates. keep_every: keep those of every so
        many updates besides the last and the best.
    standardize: targets are standardised by the training split's mean and standard deviation.
    """

    epochs: float | None = None
    steps: int | None = None
    batch_size: int = 64
    accumulate: int = 1
    dtype: Literal["float32", "bfloat16"] = "float32"
    ema: float | None = None
    parallel: Parallel = "auto"
    metric: str | None = None
    early_stopping: int | None = None
    checkpoint_steps: int | None = None
    keep_every: int | None = None
    standardize: bool = True

    def check(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise UserError(
                f"Training: expected epochs or steps, found epochs={self.epochs}, steps={self.steps}"
            )
        if self.ema is not None and not 0 < self.ema < 1:
            raise UserError(f"Training.ema: expected a decay between 0 and 1, found {self.ema}")
        for name in (
            "epochs",
            "steps",
            "batch_size",
            "accumulate",
            "early_stopping",
            "checkpoint_steps",
            "keep_every",
        ):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UserError(f"Training.{name}: expected more than 0, found {value}")

    def total_steps(self, steps_per_epoch: int) -> int:
        """Updates in the whole run."""
        return self.steps if self.epochs is None else max(round(self.epochs * steps_per_epoch), 1)  # type: ignore[return-value]


@dataclass(frozen=True, kw_only=True)
class Experiment(Component):
    """One run: what is predicted from what, by which network, trained how.

    balance: how an epoch shows classes equally often. augment, mix: of training images alone.
    channels: further input channels, computed from the image.
    normalize: default the one that belongs to the pretrained weights, else ImageNet's.
    limit: train and validate on no more than so many samples each (for a quick look).
    """

    data: Source = Simulated()
    images: Images = Images()
    split: Split = RandomSplit()
    balance: Balance | None = None
    augment: tuple[Augmentation, ...] = ()
    mix: Mix | None = None
    channels: tuple[Channel, ...] = ()
    normalize: Normalize | None = None
    model: Model = ShallowCNN()
    head: Head = Linear()
    loss: Loss = Mse()
    optimizer: Optimizer = AdamW()
    finetune: FineTune = FineTune()
    training: Training = Training(epochs=30)
    seed: int = 0
    limit: int | None = None

    def check(self) -> None:
        if not 0 <= self.seed < 2**32:
            raise UserError(f"Experiment.seed: expected 0 to 2**32 - 1, found {self.seed}")
        if self.limit is not None and self.limit < 1:
            raise UserError(f"Experiment.limit: expected 1 or more, found {self.limit}")
        self._check_mirrors()
        self._check_features()

    def _check_mirrors(self) -> None:
        """Raises UserError where mirroring would change what images show, or would undo the balance of classes."""
        flips = [part for part in (*self.augment, self.balance) if isinstance(part, Flip | MirrorCopies)]
        for axis in ("horizontal", "vertical"):
            used = [type(part).__name__ for part in flips if getattr(part, axis)]
            if used and axis not in self.data.mirrors:
                raise UserError(
                    f"{used[0]}({axis}=True): a {axis} mirror image of {type(self.data).__name__} shows something "
                    f"else; set {axis}=False or leave {used[0]} out"
                )
            if len(set(used)) > 1:
                raise UserError(
                    f"balance=MirrorCopies({axis}=True) beside {axis} Flip(): it mirrors the copies at random, so that "
                    "they repeat their images; leave Flip out, or use balance=Oversample()"
                )

    def _check_features(self) -> None:
        """Cached features go with a model that reads them, and are made of images that the encoders prepare."""
        cached, reads = isinstance(self.data, CachedFeatures), isinstance(self.model, Features)
        if cached != reads:
            raise UserError(
                "Experiment: expected data=CachedFeatures(...) and model=Features() together or neither, found "
                f"data={type(self.data).__name__}(...), model={type(self.model).__name__}(...)"
            )
        unused: dict[str, Any] = {"images": self.images != Images(), "normalize": self.normalize}
        unused |= {name: getattr(self, name) for name in ("augment", "channels", "mix", "balance")}
        if cached and (given := [name for name, is_set in unused.items() if is_set]):
            raise UserError(
                f"Experiment: with data=CachedFeatures(...) there is no {', '.join(given)}; features are computed "
                "once, from images as each encoder's own images and normalize say (data.encoders.0.images)"
            )

    @property
    def group(self) -> int:
        """Rows of a batch that belong on one device: mixing needs pairs."""
        return 1 if self.mix is None else 2

    def smoke(self) -> Self:
        """The same experiment made tiny: two steps on a handful of samples, enough for each device.

        Weights are loaded from a file or folder, but not downloaded from a hub.
        """
        prepare()
        batch = math.lcm(4, jax.local_device_count() * self.group) * self.training.accumulate
        training = replace(self.training, epochs=None, steps=2, batch_size=batch)
        data = self.data.smoke() if isinstance(self.data, CachedFeatures) else self.data
        finetune = self.finetune.smoke()
        model = without_download(self.model)
        return replace(self, data=data, training=training, finetune=finetune, model=model, limit=2 * batch)


@dataclass(frozen=True)
class Task:
    """What data make of an experiment: saved with a run, so that predicting needs no training data.

    kind: regression or classification. targets: target or class names. images: with the size, filter and crop that
    are used. image_dtype: of decoded images, "uint8" or "float32". normalize: as resolved. masks: how many channels of
    decoded images are masks.
    encoders: where the network reads cached features, the records of what made them; `images` and `normalize` are
    then unused, each encoder has its own.
    """

    kind: Kind
    targets: tuple[str, ...]
    images: Images
    image_dtype: str
    normalize: Normalize
    masks: int = 0
    encoders: tuple[dict[str, Any], ...] = ()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(h, w, c) of decoded images."""
        assert self.images.size is not None
        return (*self.images.size, self.images.channels + self.masks)

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "targets": list(self.targets),
            "images": to_json(self.images),
            "image_dtype": self.image_dtype,
            "normalize": to_json(self.normalize),
            "masks": self.masks,
            "encoders": list(self.encoders),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        data = {"masks": 0, "encoders": (), **data}  # which earlier versions did not know
        if missing := sorted({field.name for field in fields(cls)} - data.keys()):
            raise UserError(
                f"run.json: task has no {', '.join(missing)}; another version of jaxlab made this run"
            )
        parts = {name: from_json(data[name]) for name in ("images", "normalize")}
        plain = {name: data[name] for name in ("kind", "image_dtype", "masks")}
        encoders = tuple(data["encoders"])
        return cls(targets=tuple(data["targets"]), encoders=encoders, **plain, **parts)


def task_of(experiment: Experiment, opened: Opened, encoders: Sequence[Loaded] = ()) -> Task:
    """The task that `opened` data set. Raises UserError where the loss or metric is for another kind.

    encoders: those of cached features.
    """
    if experiment.loss.kind != opened.kind:
        better = "CrossEntropy()" if opened.kind == "classification" else "Mse()"
        raise UserError(
            f"loss={type(experiment.loss).__name__}() is for {experiment.loss.kind}, but the data "
            f"({type(experiment.data).__name__}) are for {opened.kind}: use loss={better}"
        )
    if opened.kind == "classification" and isinstance(experiment.head, Squashed):
        raise UserError("head=Squashed() squashes numbers, but the data are for classification")
    known = start(opened.kind, len(opened.targets)).compute(opened.ceiling)
    known.pop("constant_targets", None)  # a count, not a score
    metric = experiment.training.metric
    if metric is not None and metric not in known:
        raise UserError(f"Training.metric: expected one of {', '.join(known)}, found {metric!r}")
    first = first_readable(opened.train, np.arange(len(opened.train)))
    if experiment.normalize is None and not encoders:  # which look for themselves
        check_intensities(type(experiment.data).__name__, first)
    images = replace(experiment.images, size=experiment.images.size or first.shape[:2])
    normalize, masks = experiment.normalize or Normalize(), opened.train.masks
    records = tuple(encoder.record() for encoder in encoders)
    task = Task(opened.kind, opened.targets, images, str(first.dtype), normalize, masks, records)
    input_shape(experiment, task)
    return task


def with_weights(experiment: Experiment, task: Task, weights: dict[str, Any] | None) -> Task:
    """`task` prepared as pretrained weights were: what the experiment leaves open of normalisation, filter and crop.

    weights: the record that `load_pretrained` makes.
    """
    images, normalize = prepared(task.images, experiment.normalize, weights)
    return replace(task, normalize=normalize, images=images)


def inputs_of(experiment: Experiment, task: Task) -> Inputs:
    """What is done to decoded images before the network sees them."""
    return Inputs(
        augmentations=experiment.augment,
        mix=experiment.mix,
        channels=experiment.channels,
        masks=task.masks,
        normalize=task.normalize,
    )


def input_shape(experiment: Experiment, task: Task) -> tree.Shape:
    """(h, w, c) of what the network sees, or the shape of each cached feature by name.

    Raises UserError where images are too small for a part of the experiment.
    """
    if task.encoders:
        return {name: tuple(shape) for one in task.encoders for name, shape in one["layers"].items()}
    rows = jax.ShapeDtypeStruct((2, *task.image_shape), task.image_dtype)
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 2))
    return jax.eval_shape(inputs_of(experiment, task), rows, keys).shape[1:]


def further_channels(experiment: Experiment, task: Task) -> int:
    """How many channels the network sees beside the colours."""
    return task.masks + count_channels(experiment.channels)


def network_builder(experiment: Experiment, task: Task) -> Callable[[], nnx.Module]:
    """A function that makes the network; call it under jit or eval_shape."""
    shape = input_shape(experiment, task)

    def build() -> nnx.Module:
        rngs = nnx.Rngs(params=initial_key(experiment.seed))
        return build_network(experiment.model, experiment.head, shape, task.targets, rngs)

    return build


def network_shapes(experiment: Experiment, task: Task) -> Shapes:
    """The network's graph and the shapes of its parameters and batch statistics; nothing is computed."""
    network = nnx.eval_shape(network_builder(experiment, task))
    return nnx.split(network, nnx.Param, nnx.BatchStat)  # type: ignore[return-value]


def program_of(experiment: Experiment, task: Task, shapes: Shapes | None = None) -> Program:
    """The static parts of a forward pass and its scores. shapes: `network_shapes`, where they are known."""
    return Program(
        shapes=shapes or network_shapes(experiment, task),
        kind=task.kind,
        prepare=inputs_of(experiment, task) if not task.encoders else lambda features, keys: features,
        head=experiment.head,
        loss=experiment.loss,
        mix=experiment.mix,
        dtype=compute_dtype(experiment.training.dtype),
    )


def target_constants(target: np.ndarray | None, standardize: bool) -> tree.Flat:
    """{target_mean, target_scale}: (t,) float32 of the training split's (n, t) targets; {} for classification.

    A constant target has scale 1.
    """
    if target is None:
        return {}
    mean, scale = np.zeros(target.shape[1]), np.ones(target.shape[1])
    if standardize:
        blocks = [target[:, start : start + _TARGETS] for start in range(0, target.shape[1], _TARGETS)]
        mean = np.concatenate([block.mean(0, dtype=np.float64) for block in blocks])
        scale = np.concatenate([block.std(0, dtype=np.float64) for block in blocks])
        scale = np.where(np.ptp(target, axis=0) > 0, scale, 1.0)
    return {"target_mean": mean.astype(np.float32), "target_scale": scale.astype(np.float32)}
