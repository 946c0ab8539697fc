"""Texts to vectors, by a frozen BERT."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from jaxlab.core import tree
from jaxlab.core.config import identity
from jaxlab.core.rng import initial_rngs
from jaxlab.core.terminal import stderr_console
from jaxlab.core.tree import Flat
from jaxlab.core.types import EVALUATION, Samples, UserError
from jaxlab.core.words import counted
from jaxlab.data.pipeline import HostBatch
from jaxlab.data.readers.tokens import OpenTokenizer, Tokenizer, Tokens
from jaxlab.data.texts import texts_of
from jaxlab.encode.encoder import Encoder, Loaded, Stimuli, asked_layers, load_frozen
from jaxlab.models.bert import Bert
from jaxlab.models.text import masked_mean

MULTIPLE = 16  # numbers of tokens are rounded up to it: few shapes, so that little is compiled


@dataclass(frozen=True, kw_only=True)
class TextEncoder(Encoder):
    """A frozen language model.

    model: the network, whose `pretrained` names its weights. tokenizer: what makes tokens of a text.
    column: of the samples, their texts. Of each layer the mean over a text's tokens is kept, (d,); "pool", the default,
    is what the model itself makes of the last one.
    """

    model: Bert
    tokenizer: Tokenizer
    column: str

    def load(self) -> Loaded:
        frozen = load_frozen(self.model, self.model.build, self.seed)
        name = self.name or type(self.model).__name__
        blank = {"ids": jax.ShapeDtypeStruct((1, 1), "int32"), "mask": jax.ShapeDtypeStruct((1, 1), "bool")}
        shapes = frozen.shapes(_features, blank)
        asked_layers(self, shapes)
        return Loaded(
            config=self,
            recipe={"type": "TextEncoder", "model": identity(self.model), **self.arithmetic},
            frozen=frozen,
            shapes=shapes,
            pool="mean",
            stimuli=partial(_stimuli, self, self.tokenizer.open()),
            forward=_features,
            about="; ".join((f"{name}: texts of the column {self.column!r}", *frozen.notes)),
        )


def _features(module: Any, batch: Mapping[str, Array]) -> dict[str, Array]:
    ids, mask = batch["ids"], batch["mask"]
    features = module(ids, mask, EVALUATION)
    return {layer: x if layer == "pool" else masked_mean(x, mask) for layer, x in features.items()}


def _stimuli(config: TextEncoder, tokenizer: OpenTokenizer, samples: Samples, rows: np.ndarray) -> Stimuli:
    """The distinct texts of the samples at `rows`, longest first."""
    found = texts_of(samples, rows, config.column, "TextEncoder.column", blank=True)
    texts, first, row_of = np.unique(found.astype(str), return_index=True, return_inverse=True)
    tokens = tokenizer(texts.tolist())
    if tokens.shortened:
        most = config.tokenizer.max_length
        stderr_console().print(
            f"warning: column {config.column!r}: {counted(tokens.shortened, 'different text')} cut after {most} tokens "
            "(tokenizer.max_length)",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    check_vocabulary(config.model, tokens)
    order = np.argsort(-tokens.mask.sum(1), kind="stable")
    ids, mask = tokens.ids[order], tokens.mask[order]

    def batches(size: int, first: int, stop: int) -> Iterator[tuple[np.ndarray, HostBatch]]:
        asked = Tokens(ids[first:stop], mask[first:stop], 0)
        for which, part, shown in asked.batches(size, MULTIPLE):
            yield first + which, {"ids": part, "mask": shown}

    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    sha = hashlib.sha256(repr(ids.shape).encode() + ids.tobytes() + mask.tobytes())
    return Stimuli(samples.ids[rows[first[order]]], place[row_of], sha.hexdigest(), batches)


def embed_texts(
    config: Bert, params: Flat, tokens: Tokens, *, batch_size: int = 32, multiple: int = MULTIPLE
) -> np.ndarray:
    """(n, d) float32: each text's "pool", in the order of `tokens`.

    params: as `load_pretrained` gives them. multiple: numbers of tokens are rounded up to it, so that at most
        max_length / multiple shapes are compiled.
    Raises UserError for token ids that the model has not.
    """
    check_vocabulary(config, tokens)
    on_device = jax.device_put(params)
    found = np.zeros((len(tokens.ids), config.width), np.float32)
    for rows, ids, mask in tokens.batches(batch_size, multiple):
        found[rows] = _pooled(config, on_device, ids, mask)[: len(rows)]
    return found


def check_vocabulary(config: Bert, tokens: Tokens) -> None:
    """Raises UserError for token ids that the model has not."""
    if tokens.ids.size and tokens.ids.max() >= config.vocabulary:
        raise UserError(
            f"Bert.vocabulary: expected more than the greatest token id, {tokens.ids.max()}, found "
            f"{config.vocabulary}; the tokenizer is another model's"
        )


@partial(jax.jit, static_argnums=0)
def _pooled(
    config: Bert, params: Flat, ids: Int[Array, "b n"], mask: Bool[Array, "b n"]
) -> Float[Array, "b d"]:
    graphdef, shapes = nnx.split(nnx.eval_shape(lambda: config.build(initial_rngs(0))))
    return nnx.merge(graphdef, tree.unflatten(params, shapes))(ids, mask, EVALUATION)["pool"]
