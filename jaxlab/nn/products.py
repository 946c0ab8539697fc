"""Products of matrices whose operands are rounded to bfloat16, and summed in float32.

A CPU with instructions for them (AVX512-BF16, AMX) takes half the time of those of float32; all else, activations,
norms and attention among it, stays as it is.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from jaxlab.nn.convolution import convolve
from jaxlab.nn.cpu import on_cpu


def round_products(network: nnx.Module) -> None:
    """From now on the linear layers of the network, and on a CPU its 1 x 1 convolutions, round their operands."""
    for _, module in nnx.iter_graph(network):
        if isinstance(module, nnx.Linear):
            module.dot_general = _dot_general
        elif isinstance(module, nnx.Conv) and module.conv_general_dilated is convolve:
            module.conv_general_dilated = _CONVOLVE


@jax.custom_vjp
def product(x: Float[Array, "n c"], kernel: Float[Array, "c o"]) -> Float[Array, "n o"]:
    """x @ kernel, and its gradients likewise."""
    return _rounded(x, kernel, 1, 0)


def _forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return product(x, kernel), (x, kernel)


def _backward(saved: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    x, kernel = saved
    return _rounded(gradient, kernel, 1, 1), _rounded(_turned(x), gradient, 1, 0)


product.defvjp(_forward, _backward)


def _rounded(a: Array, b: Array, of_a: int, of_b: int) -> Array:
    """Summed over one axis of each."""
    half = a.astype(jnp.bfloat16), b.astype(jnp.bfloat16)
    return lax.dot_general(*half, (((of_a,), (of_b,)), ((), ())), preferred_element_type=jnp.float32)


def _turned(x: Array) -> Array:
    """x' as XLA's CPU backend has to see it: a product over the rows of both sides would be one of float32."""
    turned = x.astype(jnp.bfloat16).T
    if not on_cpu():
        return turned
    always = lax.optimization_barrier(True)  # it fuses nothing across a conditional
    return lax.cond(always, lambda given: given, jnp.zeros_like, turned)


def _dot_general(x: Array, kernel: Array, dimension_numbers: Any, **options: Any) -> Array:
    """As lax.dot_general, as nnx.Linear calls it: over the last axis of x."""
    if x.dtype != jnp.float32 or dimension_numbers != (((x.ndim - 1,), (0,)), ((), ())):
        return lax.dot_general(x, kernel, dimension_numbers, **options)
    return product(x.reshape(-1, x.shape[-1]), kernel).reshape(*x.shape[:-1], kernel.shape[-1])


_CONVOLVE = partial(convolve, product=product)
