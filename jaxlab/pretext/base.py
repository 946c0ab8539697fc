"""What every pretext task offers: of an image alone, what the network sees of it and what it is to say."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, Shaped

from jaxlab.core.config import Component
from jaxlab.core.types import Kind, UserError

PRETEXT = "pretext"  # the truth that a task makes
_FOLD = 1 << 30  # tells a task's draws from those of augmentations
_EVALUATION = 0x9E3779B9  # seed of the draws of evaluation, the same in every epoch and every run
Image = Float[Array, "h w c"]
Prepare = Callable[[Any, Any], Float[Array, "b h w c"]]


class Posed(NamedTuple):
    """images: what the network sees, rows that belong together one after the other. truth: (b, ...); None where it
    is what the network makes of the other view.
    """

    images: Float[Array, "n h w c"]
    truth: Shaped[Array, "b ..."] | None


@dataclass(frozen=True, kw_only=True)
class Pretext(Component):
    """Base of the tasks that need no labels. One of your own says its `kind`, names its targets and has a `__call__`.

    kind: of its truth, which the loss has to be for. views: how many images the network sees of each one.
    partial: whether some of the truth is NaN, which loss and scores leave out.
    upright: whether it asks which way up an image is, so that none may be turned upside down before.
    """

    kind: ClassVar[Kind] = "regression"
    views: ClassVar[int] = 1
    partial: ClassVar[bool] = False
    upright: ClassVar[bool] = False

    def targets(self, shape: tuple[int, int, int]) -> tuple[str, ...]:
        """Names of the numbers or classes, of images of (h, w, c). Raises UserError for shapes that will not do."""
        raise NotImplementedError

    def __call__(self, image: Image, key: Key[Array, ""]) -> tuple[Image, Array]:
        """What the network sees of one normalised image, and the truth: (t,) float32, or a class's number, int32.

        It runs under vmap inside the compiled step; what is random is drawn from `key` alone.
        """
        raise NotImplementedError

    def restored(
        self, outputs: Float[Array, " t"], image: Image, key: Key[Array, ""]
    ) -> Float[Array, "h2 w2 c"] | None:
        """The normalised image that outputs say, for pictures; None of a task whose outputs are no image.

        image: as it was before `__call__` was given the same key.
        """
        return None

    def posed(
        self, prepare: Prepare, images: Any, keys: Key[Array, " b"] | None, drawn: Key[Array, " b"]
    ) -> Posed:
        """The task of a batch. keys: of augmentation, None for none. drawn: a key for each row."""
        return Posed(*jax.vmap(self)(prepare(images, keys), drawn))


def training_keys(keys: Key[Array, " b"]) -> Key[Array, " b"]:
    """A task's own, from those of a step's rows."""
    return jax.vmap(jax.random.fold_in, (0, None))(keys, _FOLD)


def evaluation_keys(index: Shaped[Array, " b"]) -> Key[Array, " b"]:
    """By the samples' places in their split, so that scores of different epochs are of the same draws."""
    return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(_EVALUATION), index)


def pixels(shape: tuple[int, int, int]) -> tuple[str, ...]:
    """Names of an image's values in order: y0x0c0, y0x0c1, ..."""
    height, width, channels = shape
    return tuple(
        f"y{row}x{column}c{channel}"
        for row in range(height)
        for column in range(width)
        for channel in range(channels)
    )


def check_posed(task: Pretext, shape: tuple[int, int, int]) -> None:
    """Raises UserError for a task, of the user's own, that shows or asks for something else than it says.

    shape: (h, w, c) of images. Nothing is computed: it is traced on shapes.
    """
    count, name = len(task.targets(shape)), type(task).__name__
    images = jax.ShapeDtypeStruct((2, *shape), "float32")
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 2))
    seen, truth = jax.eval_shape(partial(task.posed, lambda images, _: images, keys=None), images, drawn=keys)
    if seen.shape != (2 * task.views, *shape):
        raise UserError(
            f"{name}: expected it to show the network an image of {shape}, as those that it is given, found "
            f"{seen.shape[1:]}"
        )
    if truth is None:
        return
    numbers = task.kind == "regression"
    wanted, kind = ((2, count), jnp.floating) if numbers else ((2,), jnp.integer)
    if truth.shape != wanted or not jnp.issubdtype(truth.dtype, kind):
        what = (
            f"{count} numbers ({count},), of its targets"
            if numbers
            else "the number of a class, () of integers"
        )
        raise UserError(
            f"{name}: expected {what}, as the truth of an image, found {truth.shape[1:]} {truth.dtype}"
        )


def check_divides(field: str, side: int, shape: tuple[int, int, int]) -> None:
    """Raises UserError, with the sides that would do, where squares of `side` pixels do not fill an image."""
    height, width, _ = shape
    if height % side == width % side == 0:
        return
    fitting = [k for k in range(2, min(height, width) + 1) if height % k == width % k == 0]
    raise UserError(
        f"{field}: {side} does not divide images of {height} x {width} pixels (images.size); expected one of "
        f"{', '.join(map(str, fitting)) or 'none, change images.size'}"
    )
