"""Networks of inverted residuals (Sandler et al. 2018, MBConv), which EfficientNet and MobileNetV2 both are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import jax
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.core.rng import depth_rates, drop_path
from jaxlab.core.types import EVALUATION, Mode
from jaxlab.nn.cpu.turns import by_width, in_turns
from jaxlab.nn.layers import BatchNorm, average_pool, conv

Convention = Literal["pytorch", "tensorflow"]
EPSILON = {"pytorch": 1e-5, "tensorflow": 1e-3}


@dataclass(frozen=True)
class MBConvSpec:
    """One inverted residual. squeeze: the channels of its squeeze-and-excitation, 0 for none."""

    in_channels: int
    out_channels: int
    kernel: int
    stride: int
    expansion: int
    squeeze: int = 0


@dataclass(frozen=True)
class Style:
    """What all layers of a network share: activation, and whose padding and epsilon."""

    activation: Callable[[Array], Array]
    convention: Convention


def round_channels(channels: float) -> int:
    """The nearest multiple of 8, at least 8 and at least 90% of `channels` (as in TensorFlow's MobileNets)."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


class MBConvNet(nnx.Module):
    """Features in order: "stem" (stride 2), "block0" and so on, "head" (the last 1 x 1 convolution), "pool"."""

    def __init__(
        self,
        blocks: Sequence[MBConvSpec],
        style: Style,
        *,
        in_channels: int,
        head: int,
        classes: int,
        drop_path: float,
        rngs: nnx.Rngs,
    ):
        self.stem = ConvNorm(in_channels, blocks[0].in_channels, 3, style, stride=2, rngs=rngs)
        rates = depth_rates(drop_path, len(blocks))
        self.blocks = nnx.List(
            [MBConv(block, style, rates[k], layer=k, rngs=rngs) for k, block in enumerate(blocks)]
        )
        self.head = ConvNorm(blocks[-1].out_channels, head, 1, style, rngs=rngs)
        self.fc = nnx.Linear(head, classes, rngs=rngs) if classes else None

    def __call__(self, images: Float[Array, "b h w c"], mode: Mode) -> dict[str, Array]:
        x = self.stem(images, mode)
        features = {"stem": x}
        for k, block in enumerate(self.blocks):
            x = block(x, mode)
            features[f"block{k}"] = x
        features["head"] = self.head(x, mode)
        features["pool"] = average_pool(features["head"])
        if self.fc is not None:
            features["logits"] = self.fc(features["pool"])
        return features


class MBConv(nnx.Module):
    """1 x 1 expansion, depthwise, squeeze-and-excitation, linear 1 x 1 projection; a shortcut where shapes agree."""

    def __init__(self, block: MBConvSpec, style: Style, drop_rate: float, *, layer: int, rngs: nnx.Rngs):
        wide = block.in_channels * block.expansion
        self.expand = ConvNorm(block.in_channels, wide, 1, style, rngs=rngs) if block.expansion > 1 else None
        self.depthwise = ConvNorm(
            wide, wide, block.kernel, style, stride=block.stride, groups=wide, rngs=rngs
        )
        self.squeeze = SqueezeExcite(wide, block.squeeze, style, rngs) if block.squeeze else None
        self.project = ConvNorm(wide, block.out_channels, 1, style, linear=True, rngs=rngs)
        self.shortcut = block.stride == 1 and block.in_channels == block.out_channels
        self.drop_rate = drop_rate
        self.layer = layer
        self.expansion = block.expansion

    def __call__(self, x: Float[Array, "b h w c"], mode: Mode) -> Float[Array, "b h2 w2 c2"]:
        if not self._alone(mode):
            return self._through(x, mode)
        most = by_width(x, x.shape[-1] * self.expansion)
        return in_turns(self, lambda block, x: block._through(x, EVALUATION), x, most)

    def _alone(self, mode: Mode) -> bool:
        """Whether each image passes as it would alone in evaluation, and leaves nothing behind."""
        norms = [part.norm for part in (self.expand, self.depthwise, self.project) if part is not None]
        dropping = mode.train and self.drop_rate > 0
        return not dropping and not any(norm.moving(mode) or norm.observed for norm in norms)

    def _through(self, x: Float[Array, "b h w c"], mode: Mode) -> Float[Array, "b h2 w2 c2"]:
        y = x if self.expand is None else self.expand(x, mode)
        y = self.depthwise(y, mode)
        if self.squeeze is not None:
            y = self.squeeze(y)
        y = self.project(y, mode)
        return x + drop_path(y, self.drop_rate, mode, self.layer) if self.shortcut else y


class SqueezeExcite(nnx.Module):
    """Channels times gates in (0, 1) that two layers make of the channels' means (Hu et al. 2017)."""

    def __init__(self, channels: int, squeezed: int, style: Style, rngs: nnx.Rngs):
        self.reduce = conv(channels, squeezed, 1, bias=True, rngs=rngs)
        self.expand = conv(squeezed, channels, 1, bias=True, rngs=rngs)
        self.activation = style.activation

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        means = average_pool(x)[:, None, None]
        return x * jax.nn.sigmoid(self.expand(self.activation(self.reduce(means))))


class ConvNorm(nnx.Module):
    """Convolution and batch norm, and the activation unless `linear`."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        style: Style,
        *,
        stride: int = 1,
        groups: int = 1,
        linear: bool = False,
        rngs: nnx.Rngs,
    ):
        same = style.convention == "tensorflow"
        self.conv = conv(
            in_channels, out_channels, kernel, stride=stride, groups=groups, same=same, rngs=rngs
        )
        self.norm = BatchNorm(out_channels, eps=EPSILON[style.convention])
        self.activation = jax.nn.identity if linear else style.activation

    def __call__(self, x: Float[Array, "b h w c"], mode: Mode) -> Float[Array, "b h2 w2 c2"]:
        return self.norm(self.conv(x), mode, then=self.activation)
