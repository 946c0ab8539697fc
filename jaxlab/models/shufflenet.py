"""ShuffleNetV2 0.5x and 1.0x (Ma et al. 2018), as torchvision has it."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.core.config import Location
from jaxlab.core.types import Mode, UserError
from jaxlab.models.base import Model
from jaxlab.nn.layers import BatchNorm, average_pool, blur_pool, conv, max_pool

STEM = 24
WIDTHS = {0.5: (48, 96, 192), 1.0: (116, 232, 464)}
BLOCKS = (4, 8, 4)
LAST = 1024


@dataclass(frozen=True, kw_only=True)
class ShuffleNetV2(Model):
    """width: 0.5 or 1.0, the paper's name for the channels of its stages.

    classes: 0 for the backbone alone; else the model also has `fc`, and "logits" among its features.
    pretrained: a run directory, a weight file, a folder of one, or a hub id `owner/name`.
    blur: anti-aliased strides (Zhang 2019) after the stem: pooling and depthwise convolutions keep the size, and a
        binomial filter halves it.
    """

    width: float = 1.0
    classes: int = 0
    pretrained: Location | None = None
    blur: bool = False

    def check(self) -> None:
        if self.width not in WIDTHS:
            raise UserError(f"ShuffleNetV2.width: expected 0.5 or 1.0, found {self.width}")
        if self.classes < 0:
            raise UserError(f"ShuffleNetV2.classes: expected 0 (no classifier) or more, found {self.classes}")

    def build(self, in_channels: int, rngs: nnx.Rngs) -> "ShuffleNetV2Module":
        """A module for (b, h, w, in_channels) images, with new parameters."""
        return ShuffleNetV2Module(self, in_channels, rngs)


class ShuffleNetV2Module(nnx.Module):
    """Features in order: "stem" (stride 2, before the max-pool), "stage2" ... "stage4" (8 to 32), "conv5", "pool"."""

    def __init__(self, config: ShuffleNetV2, in_channels: int, rngs: nnx.Rngs):
        self.conv1 = conv(in_channels, STEM, 3, stride=2, rngs=rngs)
        self.bn1 = BatchNorm(STEM)
        channels = STEM
        for number, (width, count) in enumerate(zip(WIDTHS[config.width], BLOCKS, strict=True), 2):
            first = DownBlock(channels, width // 2, config.blur, rngs)
            others = [ShuffleBlock(width // 2, rngs) for _ in range(count - 1)]
            setattr(self, f"stage{number}", nnx.List([first, *others]))
            channels = width
        self.conv5 = conv(channels, LAST, 1, rngs=rngs)
        self.bn5 = BatchNorm(LAST)
        self.fc = nnx.Linear(LAST, config.classes, rngs=rngs) if config.classes else None
        self.blur = config.blur

    def __call__(self, images: Float[Array, "b h w c"], mode: Mode) -> dict[str, Array]:
        x = self.bn1(self.conv1(images), mode, then=jax.nn.relu)
        features = {"stem": x}
        x = blur_pool(max_pool(x, stride=1)) if self.blur else max_pool(x)
        for number in range(2, 5):
            for block in getattr(self, f"stage{number}"):
                x = block(x, mode)
            features[f"stage{number}"] = x
        features["conv5"] = x = self.bn5(self.conv5(x), mode, then=jax.nn.relu)
        features["pool"] = average_pool(x)
        if self.fc is not None:
            features["logits"] = self.fc(features["pool"])
        return features


class ShuffleBlock(nnx.Module):
    """The second half of the channels goes through the branch, the first half past it; then they are interleaved."""

    def __init__(self, width: int, rngs: nnx.Rngs):
        self.branch2 = Branch(width, width, 1, False, rngs)

    def __call__(self, x: Float[Array, "b h w c"], mode: Mode) -> Float[Array, "b h w c"]:
        past, through = jnp.split(x, 2, axis=-1)
        return _interleaved(past, self.branch2(through, mode))


class DownBlock(nnx.Module):
    """All channels go through both branches, which halve the image."""

    def __init__(self, in_channels: int, width: int, blur: bool, rngs: nnx.Rngs):
        self.branch1 = ShortBranch(in_channels, width, 2, blur, rngs)
        self.branch2 = Branch(in_channels, width, 2, blur, rngs)

    def __call__(self, x: Float[Array, "b h w c"], mode: Mode) -> Float[Array, "b h2 w2 c2"]:
        return _interleaved(self.branch1(x, mode), self.branch2(x, mode))


class ShortBranch(nnx.Module):
    """A depthwise 3 x 3 and a 1 x 1 convolution."""

    def __init__(self, in_channels: int, width: int, stride: int, blur: bool, rngs: nnx.Rngs):
        self.depthwise = conv(
            in_channels, in_channels, 3, stride=1 if blur else stride, groups=in_channels, rngs=rngs
        )
        self.depthwise_bn = BatchNorm(in_channels)
        self.pointwise = conv(in_channels, width, 1, rngs=rngs)
        self.pointwise_bn = BatchNorm(width)
        self.blur = blur

    def __call__(self, x: Float[Array, "b h w c"], mode: Mode) -> Float[Array, "b h2 w2 c2"]:
        x = self.depthwise_bn(self.depthwise(x), mode)
        x = blur_pool(x) if self.blur else x
        return self.pointwise_bn(self.pointwise(x), mode, then=jax.nn.relu)


class Branch(ShortBranch):
    """A 1 x 1 convolution before those of a short branch."""

    def __init__(self, in_channels: int, width: int, stride: int, blur: bool, rngs: nnx.Rngs):
        super().__init__(width, width, stride, blur, rngs)
        self.first = conv(in_channels, width, 1, rngs=rngs)
        self.first_bn = BatchNorm(width)

    def __call__(self, x: Float[Array, "b h w c"], mode: Mode) -> Float[Array, "b h2 w2 c2"]:
        return super().__call__(self.first_bn(self.first(x), mode, then=jax.nn.relu), mode)


def _interleaved(a: Float[Array, "b h w c"], b: Float[Array, "b h w c"]) -> Float[Array, "b h w 2*c"]:
    """The channel shuffle of two groups: a's first channel, b's first, a's second, ..."""
    return jnp.stack([a, b], axis=-1).reshape(*a.shape[:-1], -1)
