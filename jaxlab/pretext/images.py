"""Images to be made again: whole, or where they were covered."""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from jaxlab.core.types import Kind, UserError
from jaxlab.pretext.base import Image, Pretext, check_divides, pixels

_EPS = 1e-6  # added to a patch's variance (He et al. 2022's code)


@dataclass(frozen=True, kw_only=True)
class Reconstruction(Pretext):
    """The image itself, through whatever the network and its `Decoder` leave of it: an autoencoder.

    noise: standard deviation of what is added to what the network sees (Vincent et al. 2008), in those of the
        normalised image; 0 of a plain autoencoder.
    scale: the reconstruction has 1 / scale of the image's sides: each value the mean of scale x scale pixels.
    """

    kind: ClassVar[Kind] = "regression"
    noise: float = 0.0
    scale: int = 1

    def check(self) -> None:
        if not 0 <= self.noise < float("inf"):
            raise UserError(f"Reconstruction.noise: expected 0 or more, found {self.noise}")
        _check_scale("Reconstruction", self.scale)

    def targets(self, shape: tuple[int, int, int]) -> tuple[str, ...]:
        return _pixels("Reconstruction.scale", shape, self.scale)

    def __call__(self, image: Image, key: Key[Array, ""]) -> tuple[Image, Array]:
        seen = image + self.noise * jax.random.normal(key, image.shape) if self.noise else image
        return seen, shrunk(image, self.scale).reshape(-1)

    def restored(
        self, outputs: Float[Array, " t"], image: Image, key: Key[Array, ""]
    ) -> Float[Array, "h2 w2 c"]:
        return outputs.reshape(shrunk(image, self.scale).shape)


@dataclass(frozen=True, kw_only=True)
class Masked(Pretext):
    """Filling blanks: patches are covered, and what was there is to be said (He et al. 2022).

    The loss is taken of covered pixels alone. What covers is the mean colour, 0 of a normalised image, so that any
    network sees such images, as in SimMIM (Xie et al. 2022).

    patch: side of a patch, in pixels; it must divide the images' sides.
    ratio: share of the patches that are covered.
    normalize: each patch's truth has mean 0 and standard deviation 1 over its pixels and colours, as the paper found
        better; pictures undo it by the patch's own.
    """

    kind: ClassVar[Kind] = "regression"
    partial: ClassVar[bool] = True
    patch: int = 8
    ratio: float = 0.6
    normalize: bool = True

    def check(self) -> None:
        if self.patch < 1:
            raise UserError(f"Masked.patch: expected 1 pixel or more, found {self.patch}")
        if not 0 < self.ratio < 1:
            raise UserError(f"Masked.ratio: expected a share between 0 and 1, found {self.ratio}")

    def targets(self, shape: tuple[int, int, int]) -> tuple[str, ...]:
        check_divides("Masked.patch", self.patch, shape)
        height, width, _ = shape
        patches = height * width // self.patch**2
        if not 0 < round(self.ratio * patches) < patches:
            raise UserError(
                f"Masked: {self.ratio:g} of {patches} patches covers all or none; take a smaller Masked.patch than "
                f"{self.patch}"
            )
        return pixels(shape)

    def __call__(self, image: Image, key: Key[Array, ""]) -> tuple[Image, Array]:
        covered = self.covered(image.shape, key)[..., None]
        truth = self._normalised(image)
        return jnp.where(covered, 0.0, image), jnp.where(covered, truth, jnp.nan).reshape(-1)

    def restored(
        self, outputs: Float[Array, " t"], image: Image, key: Key[Array, ""]
    ) -> Float[Array, "h2 w2 c"]:
        """With what was not covered as it was."""
        said = outputs.reshape(image.shape)
        if self.normalize:
            mean, deviation = self._moments(image)
            said = said * deviation + mean
        return jnp.where(self.covered(image.shape, key)[..., None], said, image)

    def covered(self, shape: tuple[int, ...], key: Key[Array, ""]) -> Bool[Array, "h w"]:
        """Which pixels are: always as many patches."""
        rows, columns = shape[0] // self.patch, shape[1] // self.patch
        order = jax.random.permutation(key, rows * columns)
        grid = (order < round(self.ratio * rows * columns)).reshape(rows, columns)
        return jnp.repeat(jnp.repeat(grid, self.patch, 0), self.patch, 1)

    def _normalised(self, image: Image) -> Image:
        if not self.normalize:
            return image
        mean, deviation = self._moments(image)
        return (image - mean) / deviation

    def _moments(self, image: Image) -> tuple[Float[Array, "h w 1"], Float[Array, "h w 1"]]:
        """Mean and standard deviation of each pixel's patch, over its pixels and colours; by n - 1, as MAE has it."""
        mean, count = self._over_patches(image), self.patch**2 * image.shape[-1]
        variance = self._over_patches(jnp.square(image - mean)) * (count / max(count - 1, 1))
        return mean, jnp.sqrt(variance + _EPS)

    def _over_patches(self, values: Image) -> Float[Array, "h w 1"]:
        height, width, channels = values.shape
        side = self.patch
        patches = values.reshape(height // side, side, width // side, side, channels)
        mean = patches.mean((1, 3, 4))
        return jnp.repeat(jnp.repeat(mean, side, 0), side, 1)[..., None]


def shrunk(image: Image, scale: int) -> Float[Array, "h2 w2 c"]:
    """Means of scale x scale pixels."""
    if scale == 1:
        return image
    height, width, channels = image.shape
    return image.reshape(height // scale, scale, width // scale, scale, channels).mean((1, 3))


def _check_scale(name: str, scale: int) -> None:
    if scale < 1:
        raise UserError(f"{name}.scale: expected 1 or more, found {scale}")


def _pixels(field: str, shape: tuple[int, int, int], scale: int) -> tuple[str, ...]:
    if scale > 1:
        check_divides(field, scale, shape)
    height, width, channels = shape
    return pixels((height // scale, width // scale, channels))
