"""The readout whose targets ask for what they look at (Adeli et al. 2025, "Transformer brain encoders ...")."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.core.types import Mode, UserError
from jaxlab.heads.base import FeatureMaps, FeatureShapes, LayersModule, Readout
from jaxlab.heads.chunks import over_targets
from jaxlab.heads.groups import check_pattern, columns_of
from jaxlab.nn.attention import dot_product_attention
from jaxlab.nn.positions import sines


@dataclass(frozen=True, kw_only=True)
class Attention(Readout):
    """Queries over the positions of layers: where a target looks follows from what is there.

    Positions of all layers together are the tokens x_n, a vector (as a class token) being one. Each layer has a matrix
    for keys and one for values, k_n = K x_n + place_n and v_n = V x_n, and a query q finds
    o = sum_n softmax_n(q . k_n / sqrt(e)) v_n in each of the heads, of e = width / heads channels, side by side;
    y_t = b_t + w_t . o. This is the decoder of Adeli et al. (arXiv 2505.17329) without its perceptron.

    width: channels of keys and values. heads: that it is divided into.
    queries: whose: one for each target (default); a number, which all targets share, each a softmax over what these
        find; or regular expressions, as ("V1_.*", "V4_.*"), one query for the targets whose whole names match it.
    positions: what is added to keys: "sincos" of rows and columns (fixed), "learned", or "none".
    All tokens count, so that a layer of (n, c) tokens has to be one without padding.
    """

    undecayed: ClassVar[tuple[str, ...]] = ("query", "place", "select")

    normalize: bool = True
    width: int = 128
    heads: int = 4
    queries: int | tuple[str, ...] | None = None
    positions: Literal["sincos", "learned", "none"] = "sincos"

    def check(self) -> None:
        super().check()
        if self.heads < 1 or self.width < 1 or self.width % self.heads:
            raise UserError(
                f"Attention.width: expected a multiple of its {self.heads} heads, found {self.width}"
            )
        if self.positions == "sincos" and self.width % 4:
            raise UserError(
                f'Attention.width: expected a multiple of 4 for positions="sincos", found {self.width}'
            )
        if self.queries == () or (isinstance(self.queries, int) and self.queries < 1):
            raise UserError(f"Attention.queries: expected one or more, found {self.queries!r}")
        for pattern in self.patterns:
            check_pattern("Attention.queries: expected each", pattern)

    @property
    def patterns(self) -> tuple[str, ...]:
        """Of the groups of targets that share a query, where there are such."""
        return self.queries if isinstance(self.queries, tuple) else ()

    def groups(self, targets: tuple[str, ...]) -> tuple[int, ...]:
        """The number of each target's group. Raises UserError unless each is in exactly one."""
        names = {repr(pattern): pattern for pattern in self.patterns}
        number = np.zeros(len(targets), int)
        for k, own in enumerate(columns_of("Attention.queries", "expression", names, targets)):
            number[own] = k
        return tuple(number.tolist())

    def check_targets(self, targets: tuple[str, ...]) -> None:
        if self.patterns:
            self.groups(targets)

    def build(self, features: FeatureShapes, targets: tuple[str, ...], rngs: nnx.Rngs) -> "AttentionModule":
        return AttentionModule(self, self.shapes(features), targets, rngs)

    def _layers(self, features: FeatureShapes) -> tuple[str, ...]:
        names = super()._layers(features)
        if odd := [name for name in names if len(features[name].shape) not in (2, 3, 4)]:
            found = ", ".join(f"{name} {tuple(features[name].shape[1:])}" for name in odd)
            raise UserError(
                f"Attention.layer: expected layers of (h, w, c) positions, (n, c) tokens or (c,) vectors, found {found}"
            )
        return names


class AttentionModule(LayersModule):
    """layers: of each its keys and values. query (q, d), one for each target or fewer. weight (t, d).

    select (t, q): each target's logits of the queries, where they are shared. groups: the number of its query, where
    that is given.
    """

    def __init__(
        self,
        config: Attention,
        shapes: dict[str, tuple[int, ...]],
        targets: tuple[str, ...],
        rngs: nnx.Rngs,
    ):
        super().__init__(tuple(shapes), config.norms(shapes), len(targets), config.dropout)
        self.layers = nnx.Dict({name: Tokens(config, shape, rngs) for name, shape in shapes.items()})
        self.groups = config.groups(targets) if config.patterns else None
        count = config.queries if isinstance(config.queries, int) else len(config.patterns) or len(targets)
        self.query = nnx.Param(jax.random.normal(rngs.params(), (count, config.width)))
        self.select = nnx.Param(jnp.zeros((len(targets), count))) if isinstance(config.queries, int) else None
        small = 0.01 / math.sqrt(config.width)  # as a factorized readout's
        self.weight = nnx.Param(small * jax.random.normal(rngs.params(), (len(targets), config.width)))
        self.heads = config.heads

    def __call__(self, features: FeatureMaps, mode: Mode) -> Float[Array, "b t"]:
        tokens = [self.layers[name](x) for name, x, _ in self.prepared(features, mode)]
        keys, values = (jnp.concatenate([pair[k] for pair in tokens], axis=1) for k in range(2))
        query, weight = self.query[...], self.weight[...]
        rows, count, width = keys.shape
        if self.groups is None and self.select is None:

            def own(query: Float[Array, "t d"], weight: Float[Array, "t d"]) -> Float[Array, "t b"]:
                return jnp.einsum("tbd,td->tb", self.attended(query, keys, values), weight)

            outputs = over_targets(own, (query, weight), rows * (self.heads * count + width))
            return self.start + outputs
        found = self.attended(query, keys, values)

        def shared(chosen: Float[Array, "t q"], weight: Float[Array, "t d"]) -> Float[Array, "t b"]:
            return jnp.einsum("tqb,tq->tb", jnp.einsum("qbd,td->tqb", found, weight), chosen)

        return self.start + over_targets(shared, (self.chosen(), weight), rows * len(query))

    def chosen(self) -> Float[Array, "t q"]:
        """How much of what each shared query finds goes to each target."""
        if self.select is None:
            return jax.nn.one_hot(np.array(self.groups), len(self.query), dtype=self.weight.dtype)
        return jax.nn.softmax(self.select[...].astype(jnp.float32)).astype(self.select.dtype)

    def attended(
        self, query: Float[Array, "q d"], keys: Float[Array, "b n d"], values: Float[Array, "b n d"]
    ) -> Float[Array, "q b d"]:
        """What queries find in each image; the softmax in float32."""
        query, keys, values = (x.reshape(*x.shape[:-1], self.heads, -1) for x in (query, keys, values))
        asked = jnp.broadcast_to(query[None], (len(keys), *query.shape))
        found = dot_product_attention(asked, keys, values)
        return found.reshape(*found.shape[:2], -1).swapaxes(0, 1)


class Tokens(nnx.Module):
    """key, value (c, d): matrices of one layer. place (n, d): learned positions; else they are fixed, or none."""

    def __init__(self, config: Attention, shape: tuple[int, ...], rngs: nnx.Rngs):
        *sizes, channels = shape
        init = nnx.initializers.lecun_normal()
        self.key, self.value = (nnx.Param(init(rngs.params(), (channels, config.width))) for _ in range(2))
        learned = config.positions == "learned"
        count = math.prod(sizes)
        self.place = (
            nnx.Param(0.02 * jax.random.normal(rngs.params(), (count, config.width))) if learned else None
        )
        self.sines = config.positions == "sincos"

    def __call__(self, x: Float[Array, "b *n c"]) -> tuple[Float[Array, "b n d"], Float[Array, "b n d"]]:
        *sizes, channels = x.shape[1:]
        tokens = x.reshape(len(x), -1, channels)
        keys, values = tokens @ self.key[...], tokens @ self.value[...]
        if self.place is not None:
            keys = keys + self.place[...][None]
        elif self.sines and sizes:
            keys = keys + sines(sizes, keys.shape[-1]).astype(keys.dtype)[None]
        return keys, values
