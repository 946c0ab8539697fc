"""Self-attention over tokens (Vaswani et al. 2017)."""

import jax
from flax import nnx
from jaxtyping import Array, Bool, Float

from jaxlab.core.scopes import scope
from jaxlab.nn import cpu
from jaxlab.nn.cpu import attention as cpu_attention

KERNEL = nnx.initializers.truncated_normal(0.02)  # of all linear layers of a transformer, as BERT and timm


class SelfAttention(nnx.Module):
    """Queries, keys and values as one product, heads side by side, and the projection of what they found."""

    def __init__(self, width: int, heads: int, rngs: nnx.Rngs):
        self.qkv = nnx.Linear(width, 3 * width, kernel_init=KERNEL, rngs=rngs)
        self.proj = nnx.Linear(width, width, kernel_init=KERNEL, rngs=rngs)
        self.heads = heads

    @scope("attention")
    def __call__(self, x: Float[Array, "b n d"]) -> Float[Array, "b n d"]:
        b, n, d = x.shape
        qkv = self.qkv(x).reshape(b, n, 3, self.heads, d // self.heads)
        if cpu.on_cpu():  # turned as one
            found = cpu_attention.attention(*qkv.transpose(2, 0, 3, 1, 4)).transpose(0, 2, 1, 3)
        else:
            found = dot_product_attention(*(qkv[:, :, part] for part in range(3)))
        return self.proj(found.reshape(b, n, d))


@scope("attention")
def dot_product_attention(
    q: Float[Array, "b n h e"],
    k: Float[Array, "b m h e"],
    v: Float[Array, "b m h e"],
    mask: Bool[Array, "b m"] | None = None,
) -> Float[Array, "b n h e"]:
    """softmax(q k' / sqrt(e)) v over the m tokens where `mask` is True; scores and their sums in float32."""
    if cpu.on_cpu():
        q, k, v = (x.transpose(0, 2, 1, 3) for x in (q, k, v))
        return cpu_attention.attention(q, k, v, mask).transpose(0, 2, 1, 3)
    seen = None if mask is None else mask[:, None, None]
    return jax.nn.dot_product_attention(q, k, v, mask=seen)
