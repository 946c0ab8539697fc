"""A few levels of convolution, normalisation, activation and pooling: the baseline that trains in minutes."""

from dataclasses import dataclass, field
from typing import Literal

import jax
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.core.config import LATER, Location
from jaxlab.core.rng import dropout
from jaxlab.core.types import Mode, UserError
from jaxlab.models.base import Model
from jaxlab.nn.cpu.levels import again, convolved
from jaxlab.nn.cpu.turns import by_width, parts_of
from jaxlab.nn.layers import BatchNorm, average_pool, conv, gelu, max_pool
from jaxlab.nn.norm import LayerNorm
from jaxlab.nn.spread import devices_of_rows

ACTIVATIONS = {
    "relu": jax.nn.relu,
    "gelu": gelu,
    "silu": jax.nn.silu,
    "elu": jax.nn.elu,
    "tanh": jax.numpy.tanh,
}


@dataclass(frozen=True, kw_only=True)
class ShallowCNN(Model):
    """channels and kernel_sizes: one entry a level, each of which halves the image.

    activation: what follows each norm. norm: "batch" over a batch's images, "layer" over the channels of each position,
        "none". Convolutions have no bias before a norm.
    dropout: share of values zeroed after each level, in [0, 1).
    pretrained: a run directory whose network is one like it.
    """

    channels: tuple[int, ...] = (32, 64, 128)
    kernel_sizes: tuple[int, ...] = (5, 3, 3)
    activation: Literal["relu", "gelu", "silu", "elu", "tanh"] = "gelu"
    norm: Literal["batch", "layer", "none"] = "batch"
    dropout: float = 0.0
    pretrained: Location | None = field(default=None, metadata=LATER)

    def check(self) -> None:
        if not self.channels or len(self.channels) != len(self.kernel_sizes):
            raise UserError(
                "ShallowCNN: expected as many kernel_sizes as channels, one a level, found "
                f"channels={self.channels} and kernel_sizes={self.kernel_sizes}"
            )
        if min(self.channels) < 1:
            raise UserError(f"ShallowCNN.channels: expected 1 or more in each level, found {self.channels}")
        if any(size < 1 or size % 2 == 0 for size in self.kernel_sizes):
            raise UserError(f"ShallowCNN.kernel_sizes: expected odd sizes, found {self.kernel_sizes}")
        if not 0 <= self.dropout < 1:
            raise UserError(f"ShallowCNN.dropout: expected a share in [0, 1), found {self.dropout}")

    def build(self, in_channels: int, rngs: nnx.Rngs) -> "ShallowCNNModule":
        """A module for (b, h, w, in_channels) images, with new parameters."""
        return ShallowCNNModule(self, in_channels, rngs)


class ShallowCNNModule(nnx.Module):
    """Features in order: "level1" (stride 2), "level2" (stride 4), ..., and "pool", the last level's mean."""

    def __init__(self, config: ShallowCNN, in_channels: int, rngs: nnx.Rngs):
        widths = (in_channels, *config.channels)
        self.levels = nnx.List(Level(config, k, widths[k], rngs) for k in range(len(config.channels)))

    def __call__(self, images: Float[Array, "b h w c"], mode: Mode) -> dict[str, Array]:
        x, features = images, {}
        for number, level in enumerate(self.levels, 1):
            features[f"level{number}"] = x = level(x, mode)
        features["pool"] = average_pool(x)
        return features


class Level(nnx.Module):
    """Convolution, norm, activation, max-pool, dropout."""

    def __init__(self, config: ShallowCNN, index: int, in_channels: int, rngs: nnx.Rngs):
        width, size = config.channels[index], config.kernel_sizes[index]
        self.conv = conv(in_channels, width, size, bias=config.norm == "none", rngs=rngs)
        self.norm = _norm(config.norm, width, rngs)
        self.dropout = config.dropout
        self.index = index
        self.activation = config.activation

    def __call__(self, x: Float[Array, "b h w c"], mode: Mode) -> Float[Array, "b h2 w2 c2"]:
        return dropout(self._pooled(x, mode), self.dropout, mode, self.index)

    def _pooled(self, x: Float[Array, "b h w c"], mode: Mode) -> Float[Array, "b h2 w2 c2"]:
        activation = ACTIVATIONS[self.activation]
        if isinstance(self.norm, BatchNorm):
            parts = parts_of(len(x), by_width(x, self.conv.out_features))
            if parts > 1 and devices_of_rows() == 1 and self.norm.moving(mode) and not self.norm.observed:
                return self._in_turns(x, mode, parts)
            return max_pool(activation(self.norm(self.conv(x), mode)))
        x = self.conv(x)
        return max_pool(activation(x if self.norm is None else self.norm(x)))

    def _in_turns(self, x: Float[Array, "b h w c"], mode: Mode, parts: int) -> Float[Array, "b h2 w2 c2"]:
        assert isinstance(self.norm, BatchNorm)
        assert self.norm.scale is not None
        assert self.norm.bias is not None
        maps, means, variances = convolved(self.conv, x, parts)
        mean, var = self.norm.joined(means, variances, maps.shape[1] * maps.shape[2], mode)

        activation = ACTIVATIONS[self.activation]

        def pooled(mean: Array, slope: Array, bias: Array, maps: Array) -> Array:
            along = (None, None, None)
            return max_pool(activation((maps - mean[along]) * slope[along] + bias[along]))

        slope = self.norm.scale[...] * jax.lax.rsqrt(var + self.norm.eps)
        return again(pooled, (mean, slope, self.norm.bias[...]), maps, parts)


def _norm(kind: str, width: int, rngs: nnx.Rngs) -> BatchNorm | LayerNorm | None:
    if kind == "batch":
        return BatchNorm(width)
    return LayerNorm(width, rngs=rngs) if kind == "layer" else None
