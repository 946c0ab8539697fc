"""Images to features, by a frozen network."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Self

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.core.config import from_json, identity, to_json
from jaxlab.core.types import EVALUATION, Samples, UserError
from jaxlab.data.device.augment import Normalize
from jaxlab.data.images import Images, first_readable, stream
from jaxlab.data.levels import Levels, at_levels
from jaxlab.data.pipeline import HostBatch
from jaxlab.data.source import checksums
from jaxlab.encode.encoder import Encoder, Loaded, Stimuli, asked_layers, load_frozen
from jaxlab.models.base import Model
from jaxlab.nn.cpu.turns import by_size, in_turns
from jaxlab.nn.plain import adopted, check_rows, features
from jaxlab.weights import settled
from jaxlab.weights.preprocessing import check_intensities, described, prepared

Pool = Literal["none", "mean"]


@dataclass(frozen=True, kw_only=True)
class ImageEncoder(Encoder):
    """A frozen image network.

    model: the network, whose `pretrained` names its weights.
    images, normalize: as in an experiment; what they leave open is settled by the weights. images.size has to be given.
    pool: "mean" keeps the mean over positions of layers that have any: (h, w, c) -> (c,).
    """

    model: Model
    images: Images
    normalize: Normalize | None = None
    pool: Pool = "none"

    def check(self) -> None:
        if self.images.size is None:
            raise UserError("ImageEncoder.images: expected a size=(height, width), found None")

    def at_levels(self, levels: Levels | None) -> Self:
        open_still = self.images.levels is None and levels is not None
        return (
            dataclasses.replace(self, images=dataclasses.replace(self.images, levels=levels))
            if open_still
            else self
        )

    def as_in(self, record: Mapping[str, Any]) -> Self:
        kept = from_json(record["encoder"].get("images"))
        if not isinstance(kept, Images):
            return self
        model: Any = self.model
        if getattr(model, "positions", "") is None and model.pretrained is not None:
            # What is usual is not written, so that it is that of then; random weights settle nothing.
            positions = record["encoder"]["model"].get("positions", model.usual_positions)
            self = dataclasses.replace(self, model=dataclasses.replace(model, positions=positions))
        cut = (kept.crop_from or "box") if self.images.policy == kept.policy == "crop" else None
        images = dataclasses.replace(self.images, crop_from=self.images.crop_from or cut)
        return dataclasses.replace(self, images=images).at_levels(kept.levels)

    def load(self) -> Loaded:
        size, channels = self.images.size, self.images.channels
        assert size is not None
        frozen = load_frozen(self.model, partial(_built, self.model, channels), self.seed)
        images, normalize = prepared(self.images, self.normalize, frozen.weights)
        model = settled(self.model, frozen.weights)
        if model != self.model:
            frozen = frozen.of(partial(_built, model, channels))
        config = dataclasses.replace(self, images=images, normalize=normalize, model=model)
        forward = partial(_features, normalize, self.pool)
        blank = jax.ShapeDtypeStruct((1, *size, channels), "float32")
        shapes = frozen.shapes(forward, {"image": blank})
        asked_layers(config, shapes)
        check_rows(
            lambda image: forward(frozen.merged(frozen.variables), {"image": image}),
            (*size, channels),
            [self.model],
        )
        name = self.name or type(self.model).__name__
        return Loaded(
            config=config,
            recipe=_recipe(config),
            frozen=frozen,
            shapes=shapes,
            pool=self.pool,
            stimuli=partial(_stimuli, images, self.normalize is None),
            forward=forward,
            about="; ".join((f"{name}: {described(images, normalize)}", *frozen.notes)),
        )


def _built(model: Model, channels: int, rngs: nnx.Rngs) -> nnx.Module:
    return adopted(model.build(channels, rngs), type(model).__name__)


def _features(normalize: Normalize, pool: Pool, module: Any, batch: Mapping[str, Array]) -> dict[str, Array]:
    def found(module: Any, images: Array) -> dict[str, Array]:
        layers = features(module, images, EVALUATION)
        return {layer: _pooled(x) if pool == "mean" else x for layer, x in layers.items()}

    images = normalize(batch["image"])
    return in_turns(module, found, images, by_size(images))


def _pooled(x: Float[Array, " b *shape"]) -> Float[Array, "b c"]:
    """The mean over all axes but the batch and the channels."""
    return x.mean(tuple(range(1, x.ndim - 1)))


def _recipe(config: ImageEncoder) -> Any:
    images = to_json(config.images)
    images.pop("memory_budget_gb")
    return {
        "type": "ImageEncoder",
        "model": identity(config.model),
        "images": images,
        "normalize": to_json(config.normalize),
        **config.arithmetic,
    }


def _stimuli(images: Images, from_0_to_1: bool, samples: Samples, rows: np.ndarray) -> Stimuli:
    """The distinct images of the samples at `rows`. from_0_to_1: where they are floats, they have to be so."""
    if samples.masks:
        raise UserError("ImageEncoder: takes images without masks; give it the source that WithMasks wraps")
    if from_0_to_1:
        check_intensities("ImageEncoder", first_readable(at_levels(samples, images.levels), rows))
    positions, row_of = rows, None
    if samples.image_of is not None:
        _, first, row_of = np.unique(samples.image_of[rows], return_index=True, return_inverse=True)
        positions = rows[first]

    def batches(size: int, first: int, stop: int) -> Iterator[tuple[np.ndarray, HostBatch]]:
        for decoded in stream(samples, positions[first:stop], images, size):
            count = len(decoded)
            full = decoded if count == size else decoded[np.minimum(np.arange(size), count - 1)]
            yield np.arange(first, first + count), {"image": full}
            first += count

    return Stimuli(samples.ids[positions], row_of, checksums(samples, positions).hex(), batches)
