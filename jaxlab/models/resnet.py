"""ResNet-18, 34, 50 and 101 (He et al. 2015; stride in the 3 x 3 convolution, as torchvision and timm have it)."""

from dataclasses import dataclass
from typing import Literal

import jax
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.core.config import Location
from jaxlab.core.rng import depth_rates, drop_path
from jaxlab.core.types import Mode, UserError
from jaxlab.models.base import Model
from jaxlab.nn.layers import BatchNorm, average_pool, blur_pool, conv, max_pool

WIDTHS = (64, 128, 256, 512)
BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
DropSite = tuple[int, float]


@dataclass(frozen=True, kw_only=True)
class ResNet(Model):
    """depth: 18, 34 (basic blocks), 50 or 101 (bottlenecks).

    classes: 0 for the backbone alone; else the model also has `fc`, and "logits" among its features.
    pretrained: a run directory, a weight file, a folder of one, or a hub id `owner/name`.
    blur: anti-aliased strides (Zhang 2019) where timm's resnetblur50 has them: in the max-pool and in the blocks'
        branches, not in the stem and the shortcuts.
    drop_path: stochastic depth's rate at the last block, in [0, 1); it grows linearly from 0 at the first.
    """

    depth: Literal[18, 34, 50, 101] = 18
    classes: int = 0
    pretrained: Location | None = None
    blur: bool = False
    drop_path: float = 0.0

    def check(self) -> None:
        if self.classes < 0:
            raise UserError(f"ResNet.classes: expected 0 (no classifier) or more, found {self.classes}")
        if not 0 <= self.drop_path < 1:
            raise UserError(f"ResNet.drop_path: expected a share in [0, 1), found {self.drop_path}")

    def build(self, in_channels: int, rngs: nnx.Rngs) -> "ResNetModule":
        """A module for (b, h, w, in_channels) images, with new parameters."""
        return ResNetModule(self, in_channels, rngs)


class ResNetModule(nnx.Module):
    """Features in order: "stem" (stride 2, before the max-pool), "layer1" ... "layer4" (4 to 32), "pool"."""

    def __init__(self, config: ResNet, in_channels: int, rngs: nnx.Rngs):
        block = Bottleneck if config.depth >= 50 else BasicBlock
        paths = enumerate(depth_rates(config.drop_path, sum(BLOCKS[config.depth])))
        self.conv1 = conv(in_channels, WIDTHS[0], 7, stride=2, rngs=rngs)
        self.bn1 = BatchNorm(WIDTHS[0])
        channels = WIDTHS[0]
        for number, (width, count) in enumerate(zip(WIDTHS, BLOCKS[config.depth], strict=True), 1):
            blocks = []
            for k in range(count):
                stride = 2 if k == 0 and number > 1 else 1
                blocks.append(block(channels, width, stride, config.blur, next(paths), rngs))
                channels = width * block.expansion
            setattr(self, f"layer{number}", nnx.List(blocks))
        self.fc = nnx.Linear(channels, config.classes, rngs=rngs) if config.classes else None
        self.blur = config.blur

    def __call__(self, images: Float[Array, "b h w c"], mode: Mode) -> dict[str, Array]:
        x = self.bn1(self.conv1(images), mode, then=jax.nn.relu)
        features = {"stem": x}
        x = blur_pool(max_pool(x, stride=1)) if self.blur else max_pool(x)
        for number in range(1, 5):
            for block in getattr(self, f"layer{number}"):
                x = block(x, mode)
            features[f"layer{number}"] = x
        features["pool"] = average_pool(x)
        if self.fc is not None:
            features["logits"] = self.fc(features["pool"])
        return features


class ResNetBlock(nnx.Module):
    """A branch and a shortcut beside it. path: the block's number in the network, its rate of stochastic depth."""

    expansion: int

    def __init__(self, in_channels: int, width: int, stride: int, blur: bool, path: DropSite, rngs: nnx.Rngs):
        self.downsample = _shortcut(in_channels, width * self.expansion, stride, rngs)
        self.blur = blur and stride > 1
        self.stride = 1 if self.blur else stride  # of the 3 x 3 convolution
        self.path = path

    def __call__(self, x: Float[Array, "b h w c"], mode: Mode) -> Float[Array, "b h2 w2 c2"]:
        index, rate = self.path
        shortcut = x if self.downsample is None else self.downsample(x, mode)
        return jax.nn.relu(drop_path(self.branch(x, mode), rate, mode, index) + shortcut)

    def branch(self, x: Float[Array, "b h w c"], mode: Mode) -> Float[Array, "b h2 w2 c2"]:
        raise NotImplementedError


class BasicBlock(ResNetBlock):
    """Two 3 x 3 convolutions."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int, blur: bool, path: DropSite, rngs: nnx.Rngs):
        super().__init__(in_channels, width, stride, blur, path, rngs)
        self.conv1 = conv(in_channels, width, 3, stride=self.stride, rngs=rngs)
        self.bn1 = BatchNorm(width)
        self.conv2 = conv(width, width, 3, rngs=rngs)
        self.bn2 = BatchNorm(width)

    def branch(self, x: Float[Array, "b h w c"], mode: Mode) -> Float[Array, "b h2 w2 c2"]:
        y = self.bn1(self.conv1(x), mode, then=jax.nn.relu)
        y = blur_pool(y) if self.blur else y
        return self.bn2(self.conv2(y), mode)


class Bottleneck(ResNetBlock):
    """1 x 1, 3 x 3 (which strides) and 1 x 1 convolutions."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int, blur: bool, path: DropSite, rngs: nnx.Rngs):
        super().__init__(in_channels, width, stride, blur, path, rngs)
        self.conv1 = conv(in_channels, width, 1, rngs=rngs)
        self.bn1 = BatchNorm(width)
        self.conv2 = conv(width, width, 3, stride=self.stride, rngs=rngs)
        self.bn2 = BatchNorm(width)
        self.conv3 = conv(width, width * self.expansion, 1, rngs=rngs)
        self.bn3 = BatchNorm(width * self.expansion)

    def branch(self, x: Float[Array, "b h w c"], mode: Mode) -> Float[Array, "b h2 w2 c2"]:
        y = self.bn1(self.conv1(x), mode, then=jax.nn.relu)
        y = self.bn2(self.conv2(y), mode, then=jax.nn.relu)
        y = blur_pool(y) if self.blur else y
        return self.bn3(self.conv3(y), mode)


class Shortcut(nnx.Module):
    """A strided 1 x 1 convolution, where the shapes of a block's input and output differ."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, rngs: nnx.Rngs):
        self.conv = conv(in_channels, out_channels, 1, stride=stride, rngs=rngs)
        self.bn = BatchNorm(out_channels)

    def __call__(self, x: Float[Array, "b h w c"], mode: Mode) -> Float[Array, "b h2 w2 c2"]:
        return self.bn(self.conv(x), mode)


def _shortcut(in_channels: int, out_channels: int, stride: int, rngs: nnx.Rngs) -> Shortcut | None:
    if stride == 1 and in_channels == out_channels:
        return None
    return Shortcut(in_channels, out_channels, stride, rngs)
