"""Trained networks that predict images as they come: parameters stay on the devices, batches have one size."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from jaxlab.core.types import UserError
from jaxlab.data.pipeline import HostBatch
from jaxlab.data.sources.users_images import encoded_samples
from jaxlab.encode import fresh
from jaxlab.evaluate.evaluator import Evaluator, Put
from jaxlab.evaluate.inference import InferenceEvaluator
from jaxlab.experiment.inputs import FeatureInput
from jaxlab.runs.ready import Ready, fitting, numbered, sizes
from jaxlab.training.checkpoint import Saved
from jaxlab.training.sharding import Layout

if TYPE_CHECKING:
    from jaxlab.runs.network.run import NetworkRun


class NetworkReady(Ready):
    """The mean of what a network has for each of several checkpoints.

    size: of a batch, padded: two programs are compiled, of `size` and of as few rows as there are devices, for what
    comes alone. Raises UserError for an inference that optimises batches: images of different people would share one.
    """

    def __init__(self, network: "NetworkRun", checkpoints: Sequence[Saved], size: int):
        network.given(np.zeros((1, 2, 2), network.task.image_dtype))  # refused where masks belong to images
        inference = network.experiment.inference
        if inference.refine.adapts is not None:
            raise UserError(
                f"{network.rundir.path}: inference.refine.adapts={inference.refine.adapts!r} optimises the images of a "
                "batch together, and here each is predicted for itself; add --set inference.refine.adapts=null"
            )
        self._network = network
        self._variables = [network.on_devices(checkpoint) for checkpoint in checkpoints]
        self._layout = Layout("auto", size)
        self._evaluators = {count: self._evaluator(count) for count in sizes(size)}

    def _evaluator(self, size: int) -> Evaluator:
        program, inference = self._network.program, self._network.experiment.inference
        layout = Layout("auto", size)
        if inference.plain:
            return Evaluator(program, layout, size)
        return InferenceEvaluator(program, layout, size, inference)

    def predict(self, images: Sequence[Any]) -> np.ndarray:
        size = fitting(len(images), self._evaluators)
        rows, put = self._seen(images, size)
        each = (self._evaluators[size].predict(variables, rows, put) for variables in self._variables)
        return next(each) if len(self._variables) == 1 else self._network.primary.mean_of(each)

    def _seen(self, images: Sequence[Any], size: int) -> tuple[np.ndarray, Put | None]:
        raise NotImplementedError


class ImagesReady(NetworkReady):
    """Networks that see images."""

    def taken(self, image: bytes, name: str) -> np.ndarray:
        """(h, w, c)."""
        samples = encoded_samples([image], [name])
        return np.asarray(self._network.recipe.input.unlabelled(samples, np.arange(1), self._layout).rows[0])

    def predict(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Whole numbers and floats are not mixed in a batch."""
        kinds = [image.dtype for image in images]
        out = np.empty((len(images), len(self._network.targets)), self._network.primary.dtype)
        for kind in dict.fromkeys(kinds):
            rows = [row for row, other in enumerate(kinds) if other == kind]
            out[rows] = super().predict([images[row] for row in rows])
        return out

    def _seen(self, images: Sequence[np.ndarray], size: int) -> tuple[np.ndarray, Put | None]:
        return np.stack(images), None


class FeaturesReady(NetworkReady):
    """Networks on features of frozen encoders, which are made anew and not kept."""

    def _seen(self, images: Sequence[bytes], size: int) -> tuple[np.ndarray, Put | None]:
        encoders = cast(FeatureInput, self._network.recipe.input).encoders
        made = fresh(encoders, encoded_samples(images, numbered(images)), size)
        layout, arrays = Layout("auto", size), {name: made[name] for name in made.kept}

        def put(batch: HostBatch) -> Any:
            rows = batch["image"]
            return layout.put_batch({**batch, "image": {name: array[rows] for name, array in arrays.items()}})

        return np.arange(len(images), dtype=np.int32), put


def ready(network: "NetworkRun", checkpoints: Sequence[Saved], size: int) -> Ready:
    """By what the network sees."""
    kind = FeaturesReady if network.task.encoders else ImagesReady
    return kind(network, checkpoints, size)
