"""What an experiment and its data come to: the task, and the network, inputs and program that it asks for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import jax
import numpy as np
from flax import nnx

from jaxlab.core import tree
from jaxlab.core.config import from_json, to_json
from jaxlab.core.rng import initial_key
from jaxlab.core.types import Kind, UserError
from jaxlab.data.device.augment import Normalize
from jaxlab.data.device.channels import count_channels
from jaxlab.data.device.preprocess import Inputs
from jaxlab.data.images import Images, first_readable
from jaxlab.data.source import Opened
from jaxlab.encode import Loaded
from jaxlab.experiment import Experiment
from jaxlab.heads import Squashed, build_network
from jaxlab.metrics import start
from jaxlab.training.runtime import compute_dtype
from jaxlab.training.step import Program
from jaxlab.weights.preprocessing import check_intensities, prepared

Shapes = tuple[nnx.GraphDef, nnx.State, nnx.State]

_TARGETS = (
    512  # whose mean and deviation are taken at a time: in float64, all of a whole brain would be gigabytes
)


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
