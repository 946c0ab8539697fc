"""Two encoders that learn together: one sees an image, the other a text that belongs to it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array

from jaxlab.core import tree
from jaxlab.core.rng import fork
from jaxlab.core.types import EVALUATION, Mode
from jaxlab.data.readers.tokens import TextTokenizer
from jaxlab.data.readers.words import Words
from jaxlab.data.texts import IMAGE, TOKENS
from jaxlab.models.base import Model
from jaxlab.models.fusion import MASK, Fusion, with_fused
from jaxlab.models.text import BagOfWords, TextModel
from jaxlab.nn.plain import adopted, features

_NUMBER = 2**31 - 3  # of the text's random keys, beside those of the fusion


@dataclass(frozen=True, kw_only=True)
class ImageAndText(Model):
    """A network of images and one of texts, fused; both train, unless `finetune` freezes one.

    Parameters lie below `backbone.image.`, `backbone.text.` and `backbone.fusion.`; layers are "image/..." and
    "text/...", with "text/mask" of the tokens that are no padding, and "fused" behind them.
    image: a network of any family, with its own `pretrained`. text: `Bert`, with weights or small and from nothing,
        or `BagOfWords`. With `Words` its `vocabulary` is set to the number of words.
    tokenizer: `Words`, of the training texts, or the `Tokenizer` that belongs to the text's weights.
    column: of the samples, their texts.
    fusion: how both become one; None leaves it to a head that reads several layers.
    """

    asks: ClassVar[bool] = True

    image: Model
    text: TextModel = BagOfWords()
    tokenizer: TextTokenizer = Words()
    column: str = "question"
    fusion: Fusion | None = Fusion()

    @property
    def parts(self) -> Mapping[str, Any]:
        return {"image": self.image, "text": self.text}

    def with_parts(self, parts: Mapping[str, Any]) -> Self:
        return replace(self, **parts)

    def build(self, in_channels: Any, rngs: nnx.Rngs) -> "ImageAndTextModule":
        """in_channels: {"image": (h, w, c), "tokens": (n,) of int32, as jax.ShapeDtypeStruct}."""
        return ImageAndTextModule(self, in_channels, rngs)


class ImageAndTextModule(nnx.Module):
    """Features in order: "image/...", "text/...", "text/mask" and "fused"."""

    def __init__(self, config: ImageAndText, seen: Mapping[str, Any], rngs: nnx.Rngs):
        image, text = config.image, config.text
        self.image = adopted(image.build(seen[IMAGE][-1], rngs), type(image).__name__)
        self.text = adopted(text.build(rngs), type(text).__name__)
        self.fusion = None if config.fusion is None else config.fusion.build(_shapes(self, seen), rngs)

    def __call__(self, seen: Mapping[str, Array], mode: Mode) -> dict[str, Array]:
        return with_fused(self.encoded(seen, mode), self.fusion, mode)

    def encoded(self, seen: Mapping[str, Array], mode: Mode) -> dict[str, Array]:
        """What both make, before the fusion. Tokens are -1 where a text is padded."""
        tokens = seen[TOKENS]
        mask = tokens >= 0
        found = {f"image/{name}": x for name, x in features(self.image, seen[IMAGE], mode).items()}
        text: Any = self.text
        layers = text(jnp.maximum(tokens, 0), mask, fork(mode, _NUMBER))
        return {**found, **{f"text/{name}": x for name, x in layers.items()}, f"text/{MASK}": mask}


def _shapes(module: ImageAndTextModule, seen: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Those of features by layer without the batch, in the network's order."""
    names: list[str] = []

    def encoded(module: ImageAndTextModule, batch: Mapping[str, Array]) -> dict[str, Array]:
        found = module.encoded(batch, EVALUATION)
        names[:] = found  # eval_shape sorts its result by name
        return found

    found: Any = nnx.eval_shape(encoded, module, tree.example(seen))
    return {name: tuple(found[name].shape[1:]) for name in names}
