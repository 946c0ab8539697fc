"""LeNet-5 (LeCun et al. 1998), for images of any size from 16 pixels on."""

from dataclasses import dataclass, field

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.core.config import LATER, Location
from jaxlab.core.types import Mode, UserError
from jaxlab.models.base import Model
from jaxlab.nn.convolution import convolve
from jaxlab.nn.layers import blur_pool

SMALLEST = 16  # pixels, of which one is left after both levels


@dataclass(frozen=True, kw_only=True)
class LeNet5(Model):
    """grid: the second level's map is averaged to grid x grid pixels, so that `fc1` has 16 * grid**2 inputs.

    The default is the paper's for 32 x 32 images, where nothing is averaged; nothing is either with 12 at 63 x 63 and
    28 at 126 x 126. As usual today, the activation is a plain tanh, pooling a plain mean, the second convolution full,
    and the output layer linear.
    classes: 0 for the backbone alone; else the model also has `fc3`, and "logits" among its features.
    pretrained: a run directory, a weight file, a folder of one, or a hub id `owner/name`. No file tells how it was
        trained: weights of a network with ReLU, max-pooling or a padded first convolution have the same names and
        shapes, and are wrong here.
    blur: anti-aliased pooling (Zhang 2019): a binomial filter in place of the mean of 2 x 2 pixels. An odd last row or
        column is then kept.
    """

    grid: int = 5
    classes: int = 0
    pretrained: Location | None = None
    blur: bool = field(default=False, metadata=LATER)

    def check(self) -> None:
        if self.grid < 1:
            raise UserError(f"LeNet5.grid: expected 1 or more, found {self.grid}")
        if self.classes < 0:
            raise UserError(f"LeNet5.classes: expected 0 (no classifier) or more, found {self.classes}")

    def build(self, in_channels: int, rngs: nnx.Rngs) -> "LeNet5Module":
        """A module for (b, h, w, in_channels) images, with new parameters."""
        return LeNet5Module(self, in_channels, rngs)


class LeNet5Module(nnx.Module):
    """Features in order: "level1" (6 channels), "level2" (16), "fc1" (120 values), "fc2" (84)."""

    def __init__(self, config: LeNet5, in_channels: int, rngs: nnx.Rngs):
        self.conv1 = _valid(in_channels, 6, rngs)
        self.conv2 = _valid(6, 16, rngs)
        self.fc1 = nnx.Linear(16 * config.grid**2, 120, rngs=rngs)
        self.fc2 = nnx.Linear(120, 84, rngs=rngs)
        self.fc3 = nnx.Linear(84, config.classes, rngs=rngs) if config.classes else None
        self.grid = config.grid
        self.blur = config.blur

    def __call__(self, images: Float[Array, "b h w c"], mode: Mode) -> dict[str, Array]:
        """Raises UserError for images under 16 pixels."""
        b, h, w, _ = images.shape
        if min(h, w) < SMALLEST:
            raise UserError(
                f"LeNet5: expected images of {SMALLEST} x {SMALLEST} pixels or more, found {h} x {w}"
            )
        pool = blur_pool if self.blur else _halved
        features = {"level1": pool(jnp.tanh(self.conv1(images)))}
        features["level2"] = x = pool(jnp.tanh(self.conv2(features["level1"])))
        features["fc1"] = jnp.tanh(self.fc1(_averaged(x, self.grid).reshape(b, -1)))
        features["fc2"] = jnp.tanh(self.fc2(features["fc1"]))
        if self.fc3 is not None:
            features["logits"] = self.fc3(features["fc2"])
        return features


def _valid(in_channels: int, out_channels: int, rngs: nnx.Rngs) -> nnx.Conv:
    """5 x 5 without padding."""
    return nnx.Conv(
        in_channels, out_channels, (5, 5), padding=((0, 0),) * 2, conv_general_dilated=convolve, rngs=rngs
    )


def _halved(x: Float[Array, "b h w c"]) -> Float[Array, "b h//2 w//2 c"]:
    """Means of 2 x 2 pixels; an odd last row or column is left out, as PyTorch does."""
    b, h, w, c = x.shape
    return x[:, : h // 2 * 2, : w // 2 * 2].reshape(b, h // 2, 2, w // 2, 2, c).mean((2, 4))


def _averaged(x: Float[Array, "b h w c"], grid: int) -> Float[Array, "b g g c"]:
    """Means over grid x grid bins, which overlap where the size is no multiple (PyTorch's adaptive pooling)."""
    rows, columns = (jnp.asarray(_bins(size, grid), x.dtype) for size in x.shape[1:3])
    return jnp.einsum("gh,bhwc,kw->bgkc", rows, x, columns)


def _bins(size: int, grid: int) -> np.ndarray:
    """(grid, size) weights: bin k averages the pixels from floor(k size / grid) to ceil((k + 1) size / grid) - 1."""
    k, pixel = np.arange(grid)[:, None], np.arange(size)[None]
    inside = (pixel >= k * size // grid) & (pixel < -(-(k + 1) * size // grid))
    return inside / inside.sum(1, keepdims=True)
