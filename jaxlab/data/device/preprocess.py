"""From decoded images to what the network sees, on the device and inside the step."""

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float, Key, Num

from jaxlab.data.device.augment import Augmentation, Normalize, augment, intensities
from jaxlab.data.device.channels import Channel, compute_channels
from jaxlab.data.device.mix import Mix


@dataclass(frozen=True)
class Preprocess:
    """Augment and mix (in training alone), compute further channels, normalise the colours.

    masks: so many of the images' last channels are masks, which are neither normalised nor computed from.
    """

    augmentations: tuple[Augmentation, ...]
    mix: Mix | None
    channels: tuple[Channel, ...]
    masks: int
    normalize: Normalize

    def __call__(
        self, images: Num[Array, "b h w c"], keys: Key[Array, " b"] | None
    ) -> Float[Array, "b h w k"]:
        """Normalised colours, then masks (0 to 1), then the computed channels. keys: one a row, None in evaluation."""
        if keys is not None:
            images = augment(images, keys, self.augmentations, self.masks)
            images = images if self.mix is None else self.mix.images(images, keys)
        if not self.masks and not self.channels:
            return self.normalize(images)
        levels = intensities(images)
        colours, masks = jnp.split(levels, [images.shape[-1] - self.masks], axis=-1)
        parts = [self.normalize(colours), masks]
        if self.channels:
            parts.append(compute_channels(colours, self.channels))
        return jnp.concatenate(parts, axis=-1)
