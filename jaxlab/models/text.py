"""What every model of texts offers, and the smallest one: a bag of words."""

from dataclasses import dataclass

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from jaxlab.core.config import Component
from jaxlab.core.rng import dropout
from jaxlab.core.types import Mode, UserError


@dataclass(frozen=True, kw_only=True)
class TextModel(Component):
    """Base of the models of texts.

    A subclass has a field `vocabulary`, the number of token ids, which words of the training texts set (`Words`). A
    module made by `build` is called `module(ids, mask, mode)`, where mask is False of padding, and returns features by
    layer: of tokens (b, n, d), of texts (b, d).
    """

    def build(self, rngs: nnx.Rngs) -> nnx.Module:
        """A module for (b, n) token ids. Trace it: its parameters should be made under jit."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class BagOfWords(TextModel):
    """A vector for each word, learned from nothing; of a text their mean, whatever their order.

    width: of a word's vector. vocabulary: number of token ids. dropout: share of a text's values zeroed in training.
    """

    width: int = 64
    vocabulary: int = 1000
    dropout: float = 0.0

    def check(self) -> None:
        for field in ("width", "vocabulary"):
            if getattr(self, field) < 1:
                raise UserError(f"BagOfWords.{field}: expected 1 or more, found {getattr(self, field)}")
        if not 0 <= self.dropout < 1:
            raise UserError(f"BagOfWords.dropout: expected a share in [0, 1), found {self.dropout}")

    def build(self, rngs: nnx.Rngs) -> "BagOfWordsModule":
        return BagOfWordsModule(self, rngs)


class BagOfWordsModule(nnx.Module):
    """Features in order: "words" of (b, n, d), and "pool" of (b, d), their mean."""

    def __init__(self, config: BagOfWords, rngs: nnx.Rngs):
        normal = nnx.initializers.normal(1.0)
        self.words = nnx.Embed(config.vocabulary, config.width, embedding_init=normal, rngs=rngs)
        self.dropout = config.dropout

    def __call__(
        self, ids: Int[Array, "b n"], mask: Bool[Array, "b n"], mode: Mode
    ) -> dict[str, Float[Array, "b ..."]]:
        words = self.words.embedding[...][ids]
        return {"words": words, "pool": dropout(masked_mean(words, mask), self.dropout, mode, 0)}


def masked_mean(x: Float[Array, "b n d"], mask: Bool[Array, "b n"]) -> Float[Array, "b d"]:
    """Mean over the tokens that are no padding, accumulated in float32; 0 for a text of padding alone."""
    total = jnp.where(mask[..., None], x, 0).sum(1, dtype=jnp.float32)
    return (total / jnp.maximum(mask.sum(1), 1)[:, None]).astype(x.dtype)
