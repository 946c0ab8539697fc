"""Texts to vectors, by a frozen BERT."""

from functools import partial

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from jaxlab import tree
from jaxlab.data.text import Tokens
from jaxlab.models.bert import Bert
from jaxlab.tree import Flat
from jaxlab.types import EVALUATION, UserError


def embed_texts(
    config: Bert, params: Flat, tokens: Tokens, *, batch_size: int = 32, multiple: int = 32
) -> np.ndarray:
    """(n, d) float32: each text's "pool", in the order of `tokens`.

    params: as `load_pretrained` gives them. multiple: numbers of tokens are rounded up to it, so that at most
        max_length / multiple shapes are compiled.
    Raises UserError for token ids that the model has not.
    """
    if tokens.ids.size and tokens.ids.max() >= config.vocabulary:
        raise UserError(
            f"Bert.vocabulary: expected more than the greatest token id, {tokens.ids.max()}, found "
            f"{config.vocabulary}; the tokenizer is another model's"
        )
    on_device = jax.device_put(params)
    found = np.zeros((len(tokens.ids), config.width), np.float32)
    for rows, ids, mask in tokens.batches(batch_size, multiple):
        found[rows] = _pooled(config, on_device, ids, mask)[: len(rows)]
    return found


@partial(jax.jit, static_argnums=0)
def _pooled(
    config: Bert, params: Flat, ids: Int[Array, "b n"], mask: Bool[Array, "b n"]
) -> Float[Array, "b d"]:
    graphdef, shapes = nnx.split(nnx.eval_shape(lambda: config.build(nnx.Rngs(0))))
    return nnx.merge(graphdef, tree.unflatten(params, shapes))(ids, mask, EVALUATION)["pool"]
