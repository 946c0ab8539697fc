"""Augmentation and normalisation, on the device and inside the step: one image and one key, under vmap.

Measured under vmap on a CPU at 224 x 224: slicing a padded image (0.2 ms) beats a product with a shift matrix
(2.7 ms), two gathered neighbours (0.9 ms) beat an interpolation matrix (2.5 ms); a blur is a banded matrix product.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, Num

from jaxlab.core.config import Component
from jaxlab.core.types import UserError

Image = Float[Array, "h w c"]
Axis = Float[Array, "out in"]


@dataclass(frozen=True, kw_only=True)
class Augmentation(Component):
    """Base of the random changes to one image; intensities are 0 to 1 for uint8 sources.

    moves: what it does to a place it does to all of the image's channels; otherwise masks are left as they are.
    """

    moves: ClassVar[bool] = True

    def __call__(self, image: Image, key: Key[Array, ""]) -> Image:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Flip(Augmentation):
    """Mirrored with probability 1/2, along each axis that is set.

    horizontal: left and right exchanged. vertical: up and down.
    """

    horizontal: bool = True
    vertical: bool = False

    def __call__(self, image: Image, key: Key[Array, ""]) -> Image:
        across, down = jax.random.bernoulli(key, 0.5, (2,))
        if self.horizontal:
            image = jnp.where(across, image[:, ::-1], image)
        if self.vertical:
            image = jnp.where(down, image[::-1], image)
        return image


@dataclass(frozen=True, kw_only=True)
class Shift(Augmentation):
    """Moved by whole pixels, uniform in -pixels..pixels along each axis; the edge is repeated.

    pixels: the farthest, of the images that the network sees.
    """

    pixels: int = 4

    def check(self) -> None:
        _check_positive("Shift.pixels", self.pixels)

    def __call__(self, image: Image, key: Key[Array, ""]) -> Image:
        down, across = jax.random.randint(key, (2,), 0, 2 * self.pixels + 1)
        margin = (self.pixels, self.pixels)
        padded = jnp.pad(image, (margin, margin, (0, 0)), mode="edge")
        return jax.lax.dynamic_slice(padded, (down, across, 0), image.shape)


@dataclass(frozen=True, kw_only=True)
class Crop(Augmentation):
    """A window up to `pixels` shorter than the image's shorter side, anywhere in it, enlarged to the whole.

    The window has the image's shape, its size and place are uniform; interpolation is bilinear.
    pixels: by so many the window is smaller at most.
    """

    pixels: int = 8

    def check(self) -> None:
        _check_positive("Crop.pixels", self.pixels)

    def __call__(self, image: Image, key: Key[Array, ""]) -> Image:
        height, width = image.shape[:2]
        if self.pixels >= min(height, width):
            raise UserError(
                f"Crop.pixels: expected less than the image's {height} x {width}, found {self.pixels}"
            )
        size, top, left = jax.random.uniform(key, (3,))
        scale = 1 - size * self.pixels / min(height, width)
        rows = interpolated(image, window(height, scale, top), axis=0)
        return interpolated(rows, window(width, scale, left), axis=1)


@dataclass(frozen=True, kw_only=True)
class Blur(Augmentation):
    """Gaussian blur, standard deviation uniform in 0..sigma pixels; weights are renormalised at the edges.

    sigma: the largest standard deviation, in pixels.
    """

    sigma: float = 1.0
    moves: ClassVar[bool] = False

    def check(self) -> None:
        _check_positive("Blur.sigma", self.sigma)

    def __call__(self, image: Image, key: Key[Array, ""]) -> Image:
        sigma = jnp.maximum(jax.random.uniform(key) * self.sigma, 1e-3)
        return _along_axes(image, _gaussian(image.shape[0], sigma), _gaussian(image.shape[1], sigma))


@dataclass(frozen=True, kw_only=True)
class BoxBlur(Augmentation):
    """The mean over a square of 2 r + 1 pixels, r uniform in 0..radius; at the edges, over what of it is inside.

    radius: the largest one, in pixels.
    """

    radius: int = 2
    moves: ClassVar[bool] = False

    def check(self) -> None:
        _check_positive("BoxBlur.radius", self.radius)

    def __call__(self, image: Image, key: Key[Array, ""]) -> Image:
        radius = jax.random.randint(key, (), 0, self.radius + 1)
        return _along_axes(image, _box(image.shape[0], radius), _box(image.shape[1], radius))


@dataclass(frozen=True, kw_only=True)
class Brightness(Augmentation):
    """Multiplied by a factor uniform in 1 - delta..1 + delta, without clipping.

    delta: of the factor, the largest distance from 1.
    """

    delta: float = 0.2
    moves: ClassVar[bool] = False

    def check(self) -> None:
        if not 0 < self.delta <= 1:
            raise UserError(f"Brightness.delta: expected above 0 and at most 1, found {self.delta}")

    def __call__(self, image: Image, key: Key[Array, ""]) -> Image:
        return image * jax.random.uniform(key, minval=1 - self.delta, maxval=1 + self.delta)


@dataclass(frozen=True, kw_only=True)
class Cutout(Augmentation):
    """A square of `size` pixels, centred anywhere, becomes its mean colour (DeVries & Taylor 2017).

    size: side of the square, in pixels.
    """

    size: int = 16

    def check(self) -> None:
        _check_positive("Cutout.size", self.size)

    def __call__(self, image: Image, key: Key[Array, ""]) -> Image:
        height, width = image.shape[:2]
        row, column = jax.random.randint(key, (2,), 0, jnp.array([height, width])) - self.size // 2
        rows, columns = jnp.arange(height) - row, jnp.arange(width) - column
        inside_rows = (rows >= 0) & (rows < self.size)
        inside_columns = (columns >= 0) & (columns < self.size)
        inside = inside_rows[:, None, None] & inside_columns[None, :, None]
        return jnp.where(inside, image.mean((0, 1), keepdims=True), image)


def augment(
    images: Num[Array, "b h w c"],
    row_keys: Key[Array, " b"],
    augmentations: tuple[Augmentation, ...],
    masks: int = 0,
) -> Float[Array, "b h w c"]:
    """Every augmentation in turn, each row with its own key folded with the augmentation's place.

    uint8 images come out as floats in 0..1, floats in their own range. A row's result depends on its image
    and its key alone, so not on how a batch is split over devices. masks: so many of the last channels are masks.
    """

    def one(image: Image, key: Key[Array, ""]) -> Image:
        for place, change in enumerate(augmentations):
            seen = image.shape[-1] if change.moves else image.shape[-1] - masks
            changed = change(image[..., :seen], jax.random.fold_in(key, place))
            image = jnp.concatenate([changed, image[..., seen:]], axis=-1) if masks else changed
        return image

    return jax.vmap(one)(intensities(images), row_keys) if augmentations else intensities(images)


@dataclass(frozen=True, kw_only=True)
class Normalize(Component):
    """(x - mean) / std for red, green and blue; the default is ImageNet's. uint8 is divided by 255 first.

    Images of one channel use the mean of the three means and of the three standard deviations.
    mean, std: of red, green and blue, in images from 0 to 1.
    """

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def check(self) -> None:
        if min(self.std) <= 0:
            raise UserError(f"Normalize.std: expected values above 0, found {self.std}")

    def __call__(self, images: Num[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        channels = images.shape[-1]
        if channels not in (1, 3):
            raise UserError(f"Normalize: expected images of 1 or 3 channels, found shape {images.shape}")
        mean, std = (np.array(v, np.float32) for v in (self.mean, self.std))
        if channels == 1:
            mean, std = mean.mean(keepdims=True), std.mean(keepdims=True)
        return (intensities(images) - mean.reshape(1, 1, 1, -1)) / std.reshape(1, 1, 1, -1)

    def undone(self, images: Float[np.ndarray, "*n c"]) -> Float[np.ndarray, "*n c"]:
        """Normalised images on the host from 0, black, to 1, white, cut off there."""
        mean, std = (np.array(v, np.float32) for v in (self.mean, self.std))
        if images.shape[-1] == 1:
            mean, std = mean.mean(keepdims=True), std.mean(keepdims=True)
        last = (1,) * (images.ndim - 1) + (-1,)
        return np.clip(images * std.reshape(last) + mean.reshape(last), 0, 1)


def intensities(images: Num[Array, "*shape"]) -> Float[Array, "*shape"]:
    """uint8 0..255 -> float32 0..1; floats as float32."""
    scale = 255 if images.dtype == jnp.uint8 else 1
    return images.astype(jnp.float32) / scale


def _along_axes(
    image: Image, rows: Float[Array, "r h"], columns: Float[Array, "s w"]
) -> Float[Array, "r s c"]:
    """Each output row and column as a weighted sum of the input's, in full precision on every device."""
    return jnp.einsum("ih,hwc,jw->ijc", rows, image, columns, precision=jax.lax.Precision.HIGHEST)


def interpolated(image: Image, positions: Float[Array, " out"], axis: int) -> Image:
    """The image linearly interpolated at `positions` along `axis`; beyond the edge, the edge."""
    last = image.shape[axis] - 1
    inside = jnp.clip(positions, 0, last)
    below = jnp.floor(inside).astype(jnp.int32)
    above = jnp.minimum(below + 1, last)
    share = jnp.expand_dims(inside - below, [other for other in range(3) if other != axis])
    low, high = (jnp.take(image, index, axis=axis, mode="clip") for index in (below, above))
    return low + (high - low) * share


def window(size: int, scale: Float[Array, ""], place: Float[Array, ""]) -> Float[Array, " out"]:
    """Where the pixels of a window of scale * size lie, size of them; place 0 is the first, 1 the last window."""
    start = place * (1 - scale) * size
    return start + (jnp.arange(size) + 0.5) * scale - 0.5


def _gaussian(size: int, sigma: Float[Array, ""]) -> Axis:
    distance = jnp.arange(size)[:, None] - jnp.arange(size)[None, :]
    return jax.nn.softmax(-0.5 * (distance / sigma) ** 2, axis=1)


def _box(size: int, radius: Int[Array, ""]) -> Axis:
    distance = jnp.abs(jnp.arange(size)[:, None] - jnp.arange(size)[None, :])
    inside = (distance <= radius).astype(jnp.float32)
    return inside / inside.sum(1, keepdims=True)


def _check_positive(name: str, value: float) -> None:
    if value <= 0:
        raise UserError(f"{name}: expected above 0, found {value}")
