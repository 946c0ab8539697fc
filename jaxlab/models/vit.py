"""Vision transformers: ViT (Dosovitskiy et al. 2021), DeiT (Touvron et al. 2021), DINOv2 (Oquab et al. 2024)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.core.config import LATER, Location
from jaxlab.core.rng import depth_rates, drop_path, dropout
from jaxlab.core.types import Mode, UserError
from jaxlab.models.base import Model
from jaxlab.nn.attention import KERNEL, SelfAttention
from jaxlab.nn.convolution import convolve
from jaxlab.nn.layers import gelu, unfused_gradient
from jaxlab.nn.norm import LayerNorm
from jaxlab.nn.positions import aligned, antialiased, interpolated, resized

SIZES = {"tiny": (192, 3), "small": (384, 6), "base": (768, 12)}  # width and heads
BLOCKS = 12
OFFSET = 0.1  # of DINOv2's authors
Positions = Literal["timm", "transformers", "torchvision", "dinov2"]


@dataclass(frozen=True, kw_only=True)
class VisionTransformer(Model):
    """What the three families share.

    size: "tiny" (192 wide, 3 heads), "small" (384, 6) or "base" (768, 12), all of 12 blocks.
    image_size: side of the square images of pretraining, in pixels; it gives the grid of position embeddings, which
        is resized to that of the images. Their sides must be multiples of the patch.
    classes: 0 for the backbone alone; else the model also has `head`, and "logits" among its features.
    pretrained: a run directory, a weight file, a folder of one, or a hub id `owner/name`.
    norm_eps: epsilon of the layer norms; many of transformers' configs say 1e-12 (`layer_norm_eps`).
    dropout: share of values zeroed in training where the paper does: after the positions are added, and after each
        linear layer but that of queries, keys and values.
    drop_path: stochastic depth, from 0 in the first block to this rate in the last.
    positions: whose way to resize position embeddings: "timm" (bicubic, antialias), "transformers" (bicubic),
        "torchvision" (bicubic, corners aligned) or "dinov2" (bicubic, the scale off by an offset).
        Default: that of the layout that the weights come in; without weights timm's, of DINOv2 its authors'.
    """

    size: Literal["tiny", "small", "base"] = "base"
    image_size: int = 224
    classes: int = 0
    pretrained: Location | None = None
    norm_eps: float = 1e-6
    dropout: float = 0.0
    drop_path: float = 0.0
    positions: Positions | None = field(default=None, metadata=LATER)

    undecayed: ClassVar[tuple[str, ...]] = ("cls_token", "dist_token", "pos_embed")
    patch: ClassVar[int] = 16
    layer_scale: ClassVar[float | None] = None  # at first
    classifier_reads_mean: ClassVar[bool] = False  # beside the class token
    usual_positions: ClassVar[Positions] = "timm"

    def check(self) -> None:
        name = type(self).__name__
        if self.classes < 0:
            raise UserError(f"{name}.classes: expected 0 (no classifier) or more, found {self.classes}")
        if self.image_size < 1 or self.image_size % self.patch:
            raise UserError(
                f"{name}.image_size: expected a multiple of {self.patch}, found {self.image_size}"
            )
        for rate in ("dropout", "drop_path"):
            if not 0 <= getattr(self, rate) < 1:
                raise UserError(f"{name}.{rate}: expected a share in [0, 1), found {getattr(self, rate)}")

    @property
    def prefix(self) -> int:
        """Number of tokens before those of the patches."""
        return 1

    def position_matrix(self, old: int, new: int) -> np.ndarray:
        """(new, old) weights that resize position embeddings along one axis."""
        return _MATRICES[self.positions or self.usual_positions](self, old, new)

    def build(self, in_channels: int, rngs: nnx.Rngs) -> "VisionTransformerModule":
        """A module for (b, h, w, in_channels) images, with new parameters."""
        return VisionTransformerModule(self, in_channels, rngs)


@dataclass(frozen=True, kw_only=True)
class ViT(VisionTransformer):
    """size: "tiny", "small" or "base"; patches of 16 pixels."""


@dataclass(frozen=True, kw_only=True)
class DeiT(VisionTransformer):
    """A ViT trained on ImageNet alone.

    distilled: whether it has a distillation token, a feature "dist" and a classifier of its own, whose logits are
        averaged with those of the class token.
    """

    distilled: bool = False

    @property
    def prefix(self) -> int:
        return 2 if self.distilled else 1


@dataclass(frozen=True, kw_only=True)
class DINOv2(VisionTransformer):
    """Patches of 14 pixels, LayerScale; the classifier reads the class token and the mean of the patches.

    position_offset: added to the new grid's size in the scale of the position embeddings, where these are resized as by
        the authors ("dinov2"), whose code has 0.1.
    """

    size: Literal["small", "base"] = "small"
    image_size: int = 518
    position_offset: float = OFFSET

    patch: ClassVar[int] = 14
    layer_scale: ClassVar[float | None] = 1e-5
    classifier_reads_mean: ClassVar[bool] = True
    usual_positions: ClassVar[Positions] = "dinov2"


_MATRICES: dict[Positions, Callable[[Any, int, int], np.ndarray]] = {
    "timm": lambda _, old, new: antialiased(old, new),
    "transformers": lambda _, old, new: interpolated(old, new),
    "torchvision": lambda _, old, new: aligned(old, new),
    "dinov2": lambda config, old, new: interpolated(old, new, getattr(config, "position_offset", OFFSET)),
}


class VisionTransformerModule(nnx.Module):
    """Features in order: "embed", "block0" ... "block11" and, normalised, "map": patches as (b, rows, columns, d).

    Then (b, d): "pool", the mean of "map"; "dist", the distillation token, where there is one; "cls", the class token.
    """

    def __init__(self, config: VisionTransformer, in_channels: int, rngs: nnx.Rngs):
        width, heads = SIZES[config.size]
        self.config = config
        self.patch_embed = nnx.Conv(
            in_channels,
            width,
            (config.patch, config.patch),
            strides=config.patch,
            padding="VALID",
            conv_general_dilated=convolve,
            rngs=rngs,
        )
        normal = nnx.initializers.truncated_normal(0.02)
        self.cls_token = nnx.Param(normal(rngs.params(), (1, 1, width)))
        self.dist_token = nnx.Param(normal(rngs.params(), (1, 1, width))) if config.prefix == 2 else None
        count = config.prefix + (config.image_size // config.patch) ** 2
        self.pos_embed = nnx.Param(normal(rngs.params(), (1, count, width)))
        rates = depth_rates(config.drop_path, BLOCKS)
        self.blocks = nnx.List(
            TransformerBlock(config, k, rates[k], width, heads, rngs) for k in range(BLOCKS)
        )
        self.norm = layer_norm(width, config, rngs)
        inputs = 2 * width if config.classifier_reads_mean else width
        self.head = _classifier(inputs, config.classes, rngs)
        self.head_dist = _classifier(inputs, config.classes if config.prefix == 2 else 0, rngs)

    def __call__(self, images: Float[Array, "b h w c"], mode: Mode) -> dict[str, Array]:
        grid, prefix = self._grid(images), self.config.prefix

        def patches(tokens: Array) -> Array:
            return tokens[:, prefix:].reshape(len(images), *grid, -1)

        tokens = dropout(self._embedded(images, grid), self.config.dropout, mode, 0)
        features = {"embed": patches(tokens)}
        for number, block in enumerate(self.blocks):
            tokens = block(tokens, mode)
            features[f"block{number}"] = patches(tokens)
        tokens = self.norm(tokens)
        features["map"] = patches(tokens)
        features["pool"] = tokens[:, prefix:].mean(1, dtype=jnp.float32).astype(tokens.dtype)
        if prefix == 2:
            features["dist"] = tokens[:, 1]
        features["cls"] = tokens[:, 0]
        if self.head is not None:
            features["logits"] = self._logits(features)
        return features

    def _grid(self, images: Array) -> tuple[int, int]:
        """Rows and columns of patches. Raises UserError for images that patches do not tile."""
        (h, w), patch = images.shape[1:3], self.config.patch
        if h % patch or w % patch or not h * w:
            below = " x ".join(str(max(side // patch, 1) * patch) for side in (h, w))
            raise UserError(
                f"{type(self.config).__name__}: expected images whose sides are multiples of its patch, {patch} "
                f"pixels, found {h} x {w}; resize them, for example to {below}"
            )
        return h // patch, w // patch

    def _embedded(self, images: Array, grid: tuple[int, int]) -> Float[Array, "b n d"]:
        """Class token, distillation token and patches, each with its position."""
        x = self.patch_embed(images)
        first = [token[...] for token in (self.cls_token, self.dist_token) if token is not None]
        rows = [jnp.broadcast_to(token, (len(x), *token.shape[1:])).astype(x.dtype) for token in first]
        positions, prefix = self.pos_embed[...], self.config.prefix
        fitted = resized(positions[:, prefix:], grid, self.config.position_matrix)
        positions = jnp.concatenate([positions[:, :prefix], fitted], axis=1)
        return jnp.concatenate([*rows, x.reshape(len(x), -1, x.shape[-1])], axis=1) + positions

    def _logits(self, features: dict[str, Array]) -> Float[Array, "b k"]:
        assert self.head is not None
        if self.config.classifier_reads_mean:
            return self.head(jnp.concatenate([features["cls"], features["pool"]], axis=-1))
        if self.head_dist is not None:
            return (self.head(features["cls"]) + self.head_dist(features["dist"])) / 2
        return self.head(features["cls"])


class TransformerBlock(nnx.Module):
    """Attention and a two-layer perceptron, each normalised before and added to what it reads."""

    def __init__(
        self, config: VisionTransformer, index: int, drop_rate: float, width: int, heads: int, rngs: nnx.Rngs
    ):
        self.norm1 = layer_norm(width, config, rngs)
        self.attn = SelfAttention(width, heads, rngs)
        self.norm2 = layer_norm(width, config, rngs)
        self.fc1 = nnx.Linear(width, 4 * width, kernel_init=KERNEL, rngs=rngs)
        self.fc2 = nnx.Linear(4 * width, width, kernel_init=KERNEL, rngs=rngs)
        scale = config.layer_scale
        self.scale1 = None if scale is None else nnx.Param(jnp.full(width, scale))
        self.scale2 = None if scale is None else nnx.Param(jnp.full(width, scale))
        self.index = index
        self.dropout = config.dropout
        self.drop_rate = drop_rate

    def __call__(self, x: Float[Array, "b n d"], mode: Mode) -> Float[Array, "b n d"]:
        first = 1 + 3 * self.index  # of this block's dropout layers
        y = dropout(self.attn(self.norm1(x)), self.dropout, mode, first)
        y = drop_path(_scaled(y, self.scale1), self.drop_rate, mode, 2 * self.index)
        x = unfused_gradient(x + y)
        y = dropout(gelu(self.fc1(self.norm2(x))), self.dropout, mode, first + 1)
        y = dropout(self.fc2(y), self.dropout, mode, first + 2)
        y = drop_path(_scaled(y, self.scale2), self.drop_rate, mode, 2 * self.index + 1)
        return unfused_gradient(x + y)


def _scaled(x: Float[Array, "b n d"], scale: nnx.Param | None) -> Float[Array, "b n d"]:
    return x if scale is None else x * scale[...][None, None]


def layer_norm(width: int, config: VisionTransformer, rngs: nnx.Rngs) -> LayerNorm:
    """Statistics in float32, the variance from centred values."""
    return LayerNorm(width, epsilon=config.norm_eps, use_fast_variance=False, rngs=rngs)


def _classifier(inputs: int, classes: int, rngs: nnx.Rngs) -> nnx.Linear | None:
    return nnx.Linear(inputs, classes, kernel_init=KERNEL, rngs=rngs) if classes else None
