"""Convolution as flax's layers call it."""

from typing import Any

from jax import lax
from jaxtyping import Array, Float

from jaxlab.core.scopes import scope
from jaxlab.nn import cpu
from jaxlab.nn.cpu import convolution


def convolve(
    x: Float[Array, "b h w c"],
    kernel: Float[Array, "k l c_of_group o"],
    strides: Any,
    padding: Any,
    product: convolution.Product = convolution.product,
    **options: Any,
) -> Float[Array, "b i j o"]:
    """`lax.conv_general_dilated`, but on a CPU, where `product` is of (n, c) and (c, o) in 1 x 1 convolutions."""
    with scope("convolution"):
        if cpu.on_cpu():
            return convolution.convolve(x, kernel, strides, padding, product, **options)
        return lax.conv_general_dilated(x, kernel, strides, padding, **options)
