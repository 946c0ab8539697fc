"""Trained networks that predict images as they come: parameters stay on the devices, batches have one size."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from jaxlab.core.types import UserError
from jaxlab.data.images import ImageRows
from jaxlab.data.pipeline import HostBatch
from jaxlab.data.sources.users_images import encoded_samples
from jaxlab.data.texts import IMAGE, TOKENS, Asked, TokenRows
from jaxlab.encode import fresh
from jaxlab.evaluate.evaluator import Evaluator, Put
from jaxlab.evaluate.inference import InferenceEvaluator
from jaxlab.experiment.inputs import FeatureInput
from jaxlab.runs import asked
from jaxlab.runs.ready import Ready, Shown, fitting, samples_of, sizes
from jaxlab.training.checkpoint import Saved

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
        self.asks = network.asks
        self._layout = network.layout_of(size)
        self._variables = [network.on_devices(checkpoint, self._layout) for checkpoint in checkpoints]
        self._evaluators = {count: self._evaluator(count) for count in sizes(size)}

    def _evaluator(self, size: int) -> Evaluator:
        program, inference = self._network.program, self._network.experiment.inference
        layout = self._network.layout_of(size)
        if inference.plain:
            return Evaluator(program, layout, size)
        return InferenceEvaluator(program, layout, size, inference)

    def predict(self, images: Sequence[Any]) -> np.ndarray:
        size = fitting(len(images), self._evaluators)
        rows, put = self._seen(images, size)
        each = (self._evaluators[size].predict(variables, rows, put) for variables in self._variables)
        return next(each) if len(self._variables) == 1 else self._network.primary.mean_of(each)

    def _seen(self, images: Sequence[Any], size: int) -> tuple[ImageRows, Put | None]:
        raise NotImplementedError


class ImagesReady(NetworkReady):
    """Networks that see images, and may read a text beside each."""

    def taken(self, image: bytes, name: str, question: str | None = None) -> Any:
        """(h, w, c), or {"image": that, "tokens": (n,)}."""
        samples = asked.each(encoded_samples([image], [name]), [question], self.asks)
        row = self._network.recipe.input.unlabelled(samples, np.arange(1), self._layout).rows[0]
        return row if self.asks else np.asarray(row)

    def predict(self, images: Sequence[Any]) -> np.ndarray:
        """Whole numbers and floats, and texts of other lengths, are not mixed in a batch."""
        kinds = [
            (image[IMAGE].dtype, len(image[TOKENS])) if self.asks else (image.dtype, 0) for image in images
        ]
        out = np.empty((len(images), len(self._network.targets)), self._network.primary.dtype)
        for kind in dict.fromkeys(kinds):
            rows = [row for row, other in enumerate(kinds) if other == kind]
            out[rows] = super().predict([images[row] for row in rows])
        return out

    def _seen(self, images: Sequence[Any], size: int) -> tuple[ImageRows, Put | None]:
        if not self.asks:
            return np.stack(images), None
        tokens = TokenRows(np.stack([image[TOKENS] for image in images]), np.arange(len(images)))
        return Asked(np.stack([image[IMAGE] for image in images]), tokens), None


class FeaturesReady(NetworkReady):
    """Networks on features of frozen encoders, which are made anew and not kept."""

    def _seen(self, images: Sequence[Shown], size: int) -> tuple[ImageRows, Put | None]:
        encoders = cast(FeatureInput, self._network.recipe.input).encoders
        made = fresh(encoders, samples_of(images, self.asks), size)
        layout, arrays = self._network.layout_of(size), {name: made[name] for name in made.kept}

        def put(batch: HostBatch) -> Any:
            rows = batch["image"]
            return layout.put_batch({**batch, "image": {name: array[rows] for name, array in arrays.items()}})

        return np.arange(len(images), dtype=np.int32), put


def ready(network: "NetworkRun", checkpoints: Sequence[Saved], size: int) -> Ready:
    """By what the network sees."""
    kind = FeaturesReady if network.task.encoders else ImagesReady
    return kind(network, checkpoints, size)
