"""How what is seen and what is asked become one vector: side by side, as a product, or by attention."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from jaxlab.core.config import Component
from jaxlab.core.rng import dropout, fork
from jaxlab.core.types import Mode, UserError
from jaxlab.models.text import masked_mean
from jaxlab.nn.attention import dot_product_attention
from jaxlab.nn.layers import gelu
from jaxlab.nn.norm import BatchNorm, LayerNorm
from jaxlab.nn.positions import sines

FUSED = "fused"  # the layer that heads find, behind all others
MASK = "mask"  # the layer that says which tokens of a text are no padding, beside its others
Features = Mapping[str, Array]
Shapes = Mapping[str, tuple[int, ...]]
_NUMBER = 2**31 - 2  # of the fusion's random keys, behind those of backbones and beside those of heads
_EPSILON = 1e-3  # a channel of far less variance than this is silent, and stays small


@dataclass(frozen=True, kw_only=True)
class Fusion(Component):
    """The layer "fused", (width,), made of layers of an image and of a question about it.

    how: "product": tanh(A image) * tanh(B question), elementwise (Antol et al. 2015, "deeper LSTM Q + norm I");
        "concatenate": gelu(A image + B question), which is a linear layer over both side by side; "attention": the
        question's tokens, or its vector, ask over the image's positions, in `blocks` each of which adds what is found
        and then a perceptron of 4 * width (Vaswani et al. 2017, a decoder without self-attention, norms first).
    image, text: the layers; default: the last below "image/" and below "text/". For "attention" the image's is one of
        positions; elsewhere a mean is taken over positions, and over those tokens of a text that are no padding.
    depth: further hidden layers of `width` on the result. width: of it, and of all between.
    heads: of attention, which divide `width`. blocks: of attention, one behind the other.
    dropout: share of the values zeroed in training after the fusion and after each hidden layer.
    normalize: batch norm of both layers' channels first: those of frozen networks differ in scale by orders of
        magnitude. Statistics are those of tokens that are no padding.
    """

    how: Literal["product", "concatenate", "attention"] = "product"
    image: str | None = None
    text: str | None = None
    width: int = 256
    depth: int = 1
    heads: int = 4
    blocks: int = 1
    dropout: float = 0.0
    normalize: bool = True

    def check(self) -> None:
        for name, least in (("width", 1), ("depth", 0), ("heads", 1), ("blocks", 1)):
            if getattr(self, name) < least:
                raise UserError(f"Fusion.{name}: expected {least} or more, found {getattr(self, name)}")
        if self.how == "attention" and (self.width % self.heads or self.width % 4):
            raise UserError(
                f"Fusion.width: expected a multiple of 4 and of its {self.heads} heads, found {self.width}"
            )
        if not 0 <= self.dropout < 1:
            raise UserError(f"Fusion.dropout: expected a share in [0, 1), found {self.dropout}")

    def layers(self, shapes: Shapes) -> tuple[str, str]:
        """Names of the image's and of the question's layer. Raises UserError for those that are not there or fit."""
        image, text = (_layer(name, getattr(self, name), shapes) for name in ("image", "text"))
        if self.how == "attention" and len(shapes[image]) < 2:
            positions = [name for name, shape in shapes.items() if len(shape) > 1 and name != text]
            raise UserError(
                f"Fusion.image: attention needs a layer with positions, found {image!r} {shapes[image]}; those that "
                f"have some: {', '.join(positions) or 'none (an ImageEncoder keeps them with pool=none)'}"
            )
        if len(shapes[text]) > 2:
            raise UserError(
                f"Fusion.text: expected a layer of (n, d) tokens or (d,), found {text!r} {shapes[text]}"
            )
        return image, text

    def build(self, shapes: Shapes, rngs: nnx.Rngs) -> "FusionModule":
        """A module from features by layer to (b, width). shapes: those of features, without the batch."""
        return FusionModule(self, shapes, rngs)


def _layer(field: str, asked: str | None, shapes: Shapes) -> str:
    below = [name for name in shapes if name.startswith(f"{field}/") and not name.endswith(f"/{MASK}")]
    if asked is None and below:
        return below[-1]
    if asked is None or asked not in shapes:
        found = f"no layer {asked!r}" if asked else f"no layer that begins with '{field}/'"
        raise UserError(f"Fusion.{field}: {found}; there are {', '.join(shapes) or 'none'}")
    return asked


class FusionModule(nnx.Module):
    """fuse: a product, sum or attention of the two; hidden: the layers behind it."""

    def __init__(self, config: Fusion, shapes: Shapes, rngs: nnx.Rngs):
        self.names = config.layers(shapes)
        self.mask = _mask_of(self.names[1], shapes)
        channels = [shapes[name][-1] for name in self.names]
        kinds: dict[str, Any] = {"product": Product, "concatenate": Concatenated, "attention": Asking}
        plain = (BatchNorm(count, eps=_EPSILON, affine=False) for count in channels)
        self.norms = nnx.List(plain if config.normalize else [])
        self.fuse = kinds[config.how](config, *channels, rngs)
        width = config.width
        self.hidden = nnx.List([nnx.Linear(width, width, rngs=rngs) for _ in range(config.depth)])
        self.dropout = config.dropout

    def __call__(self, features: Features, mode: Mode) -> Float[Array, "b d"]:
        image, text = (features[name] for name in self.names)
        mask = None if self.mask is None else features[self.mask]
        if self.norms:
            image, text = self.norms[0](image, mode), self.norms[1](text, mode, mask)
        x = dropout(self.fuse(image, text, mask), self.dropout, mode, 0)
        for number, layer in enumerate(self.hidden, 1):
            x = dropout(gelu(layer(x)), self.dropout, mode, number)
        return x


def _mask_of(text: str, shapes: Shapes) -> str | None:
    """The layer that says which of a text's tokens are no padding, where it has tokens."""
    mask = f"{text.rpartition('/')[0]}/{MASK}"
    return mask if len(shapes[text]) == 2 and mask in shapes else None


class Product(nnx.Module):
    """tanh(image) * tanh(question), of linear projections."""

    def __init__(self, config: Fusion, image: int, text: int, rngs: nnx.Rngs):
        self.image, self.text = (nnx.Linear(count, config.width, rngs=rngs) for count in (image, text))

    def __call__(
        self, image: Float[Array, "b ..."], text: Float[Array, "b ..."], mask: Bool[Array, "b n"] | None
    ) -> Float[Array, "b d"]:
        return jnp.tanh(self.image(_vector(image))) * jnp.tanh(self.text(_vector(text, mask)))


class Concatenated(Product):
    """gelu(image + question), of linear projections: of the two side by side."""

    def __call__(
        self, image: Float[Array, "b ..."], text: Float[Array, "b ..."], mask: Bool[Array, "b n"] | None
    ) -> Float[Array, "b d"]:
        return gelu(self.image(_vector(image)) + self.text(_vector(text, mask)))


class Asking(nnx.Module):
    """Tokens of the question that look at positions of the image, then their mean."""

    def __init__(self, config: Fusion, image: int, text: int, rngs: nnx.Rngs):
        width = config.width
        self.image, self.text = (nnx.Linear(count, width, rngs=rngs) for count in (image, text))
        self.blocks = nnx.List([Block(width, config.heads, rngs) for _ in range(config.blocks)])
        self.norm = LayerNorm(width, rngs=rngs)

    def __call__(
        self, image: Float[Array, "b ..."], text: Float[Array, "b ..."], mask: Bool[Array, "b n"] | None
    ) -> Float[Array, "b d"]:
        *sizes, channels = image.shape[1:]
        seen = self.image(image.reshape(len(image), -1, channels))
        place = jnp.asarray(sines(sizes if len(sizes) < 3 else [math.prod(sizes)], seen.shape[-1]))
        x = self.text(text if text.ndim == 3 else text[:, None])
        for block in self.blocks:
            x = block(x, seen, place.astype(seen.dtype))
        return _vector(self.norm(x), mask)


class Block(nnx.Module):
    """Attention over an image, and a perceptron, each added to the tokens that ask."""

    def __init__(self, width: int, heads: int, rngs: nnx.Rngs):
        self.norm1, self.norm2 = (LayerNorm(width, rngs=rngs) for _ in range(2))
        self.query, self.key, self.value, self.proj = (nnx.Linear(width, width, rngs=rngs) for _ in range(4))
        self.fc1, self.fc2 = nnx.Linear(width, 4 * width, rngs=rngs), nnx.Linear(4 * width, width, rngs=rngs)
        self.heads = heads

    def __call__(
        self, x: Float[Array, "b m d"], seen: Float[Array, "b n d"], place: Float[Array, "n d"]
    ) -> Float[Array, "b m d"]:
        def heads(y: Array) -> Array:
            return y.reshape(*y.shape[:2], self.heads, -1)

        query, key, value = self.query(self.norm1(x)), self.key(seen + place[None]), self.value(seen)
        found = dot_product_attention(heads(query), heads(key), heads(value))
        x = x + self.proj(found.reshape(x.shape))
        return x + self.fc2(gelu(self.fc1(self.norm2(x))))


def _vector(x: Float[Array, "b ..."], mask: Bool[Array, "b n"] | None = None) -> Float[Array, "b c"]:
    """The mean over positions, or tokens that are no padding, of what has some."""
    if mask is not None and x.ndim == 3:
        return masked_mean(x, mask > 0)
    return x.mean(tuple(range(1, x.ndim - 1))) if x.ndim > 2 else x


def with_fused(features: dict[str, Array], fusion: FusionModule | None, mode: Mode) -> dict[str, Array]:
    """The features, and "fused" behind them where there is a fusion."""
    return features if fusion is None else {**features, FUSED: fusion(features, fork(mode, _NUMBER))}
