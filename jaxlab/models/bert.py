"""BERT (Devlin et al. 2019) as an encoder of sentences; MiniLM (Wang et al. 2020) is a small one."""

from dataclasses import dataclass
from typing import Literal

from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from jaxlab.core.config import Location
from jaxlab.core.rng import dropout
from jaxlab.core.types import Mode, UserError
from jaxlab.models.text import TextModel, masked_mean
from jaxlab.nn.attention import KERNEL, dot_product_attention
from jaxlab.nn.layers import gelu
from jaxlab.nn.norm import LayerNorm


@dataclass(frozen=True, kw_only=True)
class Bert(TextModel):
    """The defaults are MiniLM-L6's; BERT base is layers=12, width=768.

    layers: blocks of attention and perceptron. width: of a token's vector. heads: of attention, which divide `width`.
    pooling: what "pool" is, the mean of the last layer's tokens or its first token, [CLS]. Neither is normalised.
    pretrained: a run directory, a weight file, a folder of one, or a hub id `owner/name`.
    vocabulary, positions: number of token ids and greatest number of tokens.
    dropout: share of values zeroed in training after the embeddings and after each attention and perceptron.
    """

    layers: int = 6
    width: int = 384
    heads: int = 12
    pooling: Literal["mean", "cls"] = "mean"
    pretrained: Location | None = None
    vocabulary: int = 30522
    positions: int = 512
    dropout: float = 0.0

    def check(self) -> None:
        for field in ("layers", "width", "heads", "vocabulary", "positions"):
            if getattr(self, field) < 1:
                raise UserError(f"Bert.{field}: expected 1 or more, found {getattr(self, field)}")
        if self.width % self.heads:
            raise UserError(
                f"Bert: expected a width that is a multiple of heads, found {self.width} and {self.heads}"
            )
        if not 0 <= self.dropout < 1:
            raise UserError(f"Bert.dropout: expected a share in [0, 1), found {self.dropout}")

    def build(self, rngs: nnx.Rngs) -> "BertModule":
        """A module for token ids, with new parameters. Trace it: they should be made under jit."""
        return BertModule(self, rngs)


class BertModule(nnx.Module):
    """Features in order: "embeddings", "layer0", "layer1", ..., of (b, n, d), and "pool" of (b, d)."""

    def __init__(self, config: Bert, rngs: nnx.Rngs):
        width = config.width
        self.words = _embedding(config.vocabulary, width, rngs)
        self.positions = _embedding(config.positions, width, rngs)
        self.types = _embedding(2, width, rngs)
        self.norm = _layer_norm(width, rngs)
        self.layers = nnx.List(BertLayer(config, index, rngs) for index in range(config.layers))
        self.config = config

    def __call__(
        self, ids: Int[Array, "b n"], mask: Bool[Array, "b n"], mode: Mode
    ) -> dict[str, Float[Array, "b ..."]]:
        """mask: False where a token is padding, which then has no effect on the others.

        All tokens are of the first segment. Raises UserError for more tokens than there are positions.
        """
        count, config = ids.shape[1], self.config
        if count > config.positions:
            raise UserError(f"Bert: expected at most {config.positions} tokens a text, found {count}")
        extra = self.positions.embedding[...][:count] + self.types.embedding[...][:1]
        # Not called: an nnx.Embed would return float32 whatever its own dtype.
        words = self.words.embedding[...][ids]
        x = dropout(self.norm(words + extra[None]), config.dropout, mode, 0)
        features = {"embeddings": x}
        for index, layer in enumerate(self.layers):
            features[f"layer{index}"] = x = layer(x, mask, mode)
        features["pool"] = x[:, 0] if config.pooling == "cls" else masked_mean(x, mask)
        return features


class BertLayer(nnx.Module):
    """Attention and a two-layer perceptron, each added to what it reads and then normalised."""

    def __init__(self, config: Bert, index: int, rngs: nnx.Rngs):
        width = config.width
        self.query, self.key, self.value, self.proj = (_linear(width, width, rngs) for _ in range(4))
        self.norm1 = _layer_norm(width, rngs)
        self.fc1 = _linear(width, 4 * width, rngs)
        self.fc2 = _linear(4 * width, width, rngs)
        self.norm2 = _layer_norm(width, rngs)
        self.heads = config.heads
        self.dropout = config.dropout
        self.index = index

    def __call__(
        self, x: Float[Array, "b n d"], mask: Bool[Array, "b n"], mode: Mode
    ) -> Float[Array, "b n d"]:
        first = 1 + 2 * self.index  # of this layer's dropout layers
        x = self.norm1(x + dropout(self._attended(x, mask), self.dropout, mode, first))
        y = self.fc2(gelu(self.fc1(x)))
        return self.norm2(x + dropout(y, self.dropout, mode, first + 1))

    def _attended(self, x: Float[Array, "b n d"], mask: Bool[Array, "b n"]) -> Float[Array, "b n d"]:
        def heads(y: Array) -> Array:
            return y.reshape(*y.shape[:2], self.heads, -1)

        found = dot_product_attention(heads(self.query(x)), heads(self.key(x)), heads(self.value(x)), mask)
        return self.proj(found.reshape(x.shape))


def _embedding(count: int, width: int, rngs: nnx.Rngs) -> nnx.Embed:
    return nnx.Embed(count, width, embedding_init=KERNEL, rngs=rngs)


def _linear(inputs: int, outputs: int, rngs: nnx.Rngs) -> nnx.Linear:
    return nnx.Linear(inputs, outputs, kernel_init=KERNEL, rngs=rngs)


def _layer_norm(width: int, rngs: nnx.Rngs) -> LayerNorm:
    return LayerNorm(width, epsilon=1e-12, use_fast_variance=False, rngs=rngs)
