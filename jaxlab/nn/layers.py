"""The layers that every family shares, with PyTorch's semantics: convolution, batch norm, dropout, pooling.

All take (b, h, w, c) and compute in the dtype of their inputs; batch-norm statistics are always float32.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.nn.convolution import convolve
from jaxlab.nn.cpu import layers as cpu
from jaxlab.nn.cpu import on_cpu
from jaxlab.nn.norm import BatchNorm as BatchNorm  # every family takes its layers from here


def kaiming(groups: int = 1) -> nnx.Initializer:
    """He et al. 2015 by the outputs that an input reaches, as torchvision has it (and timm, for groups)."""
    return nnx.initializers.variance_scaling(2.0 * groups, "fan_out", "normal")


def conv(
    in_channels: int,
    out_channels: int,
    size: int,
    *,
    stride: int = 1,
    groups: int = 1,
    bias: bool = False,
    same: bool = False,
    rngs: nnx.Rngs,
) -> nnx.Conv:
    """A `size` x `size` convolution padded by size // 2 on every side, as PyTorch pads.

    same: pad as TensorFlow, which at stride 2 pads an even image on the far side only: right for weights that were
        trained there, while it shifts the features of all others. groups = in_channels: depthwise.
    """
    return nnx.Conv(
        in_channels,
        out_channels,
        (size, size),
        strides=stride,
        padding="SAME" if same else ((size // 2, size // 2),) * 2,
        feature_group_count=groups,
        use_bias=bias,
        kernel_init=kaiming(groups),
        conv_general_dilated=convolve,
        rngs=rngs,
    )


def gelu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """x Phi(x), not its approximation by tanh, in float32, as PyTorch has it."""
    wide = x.astype(jnp.float32)
    return (cpu.gelu(wide) if on_cpu() else jax.nn.gelu(wide, approximate=False)).astype(x.dtype)


def unfused_gradient(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """x, for the sums of a deep residual network, whose gradient is best kept on a CPU."""
    return cpu.unfused_gradient(x) if on_cpu() else x


def max_pool(x: Float[Array, "b h w c"], stride: int = 2) -> Float[Array, "b h2 w2 c"]:
    """3 x 3 maxima, padded by 1; of equal values the first in row order takes the gradient."""
    if on_cpu():
        return cpu.max_pool(x, stride)
    return nnx.max_pool(x, (3, 3), strides=(stride, stride), padding=((1, 1), (1, 1)))


def blur_pool(x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c"]:
    """Every second pixel after the 3 x 3 binomial filter, edges reflected (Zhang 2019): an anti-aliased stride."""
    return _blur_along(_blur_along(x, axis=2), axis=1)


def _blur_along(x: Array, axis: int) -> Array:
    """[1, 2, 1] / 4 at stride 2 along one axis."""
    size = x.shape[axis]
    padded = jnp.pad(x, [(1, 1) if k == axis else (0, 0) for k in range(x.ndim)], mode="reflect")
    before, centre, after = (jax.lax.slice_in_dim(padded, k, k + size, 2, axis) for k in range(3))
    return 0.25 * (before + after) + 0.5 * centre


def average_pool(x: Float[Array, "b h w c"]) -> Float[Array, "b c"]:
    """Mean over the image, accumulated in float32."""
    if on_cpu():
        return cpu.average_pool(x)
    return x.mean((1, 2), dtype=jnp.float32).astype(x.dtype)
