"""Readouts: from a backbone's named features to one output a target."""

import math
from dataclasses import dataclass
from typing import Any

import jax
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.config import Component
from jaxlab.rng import dropout
from jaxlab.types import EVALUATION, Mode, UserError

Features = dict[str, Array]
_HEAD = 2**31 - 1  # a dropout layer's number that no backbone gets to


@dataclass(frozen=True, kw_only=True)
class Head(Component):
    """Base of all readouts."""

    def build(self, features: dict[str, Any], outputs: int, rngs: nnx.Rngs) -> nnx.Module:
        """A module from features to (b, outputs). `features` holds shapes, leading axis the batch."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Linear(Head):
    """A linear readout of one named layer, all of its positions (default: the backbone's last layer).

    dropout: share of the features dropped in training.
    """

    layer: str | None = None
    dropout: float = 0.0

    def check(self) -> None:
        if not 0 <= self.dropout < 1:
            raise UserError(f"Linear.dropout: expected a share in [0, 1), found {self.dropout}")

    def build(self, features: dict[str, Any], outputs: int, rngs: nnx.Rngs) -> nnx.Module:
        layer = self.layer or list(features)[-1]
        if layer not in features:
            raise UserError(f"Linear.layer: the model has no layer {layer!r}; it has {', '.join(features)}")
        return LinearReadout(layer, math.prod(features[layer].shape[1:]), outputs, self.dropout, rngs)


class LinearReadout(nnx.Module):
    """outputs = flatten(features[layer]) @ kernel + bias, both zero at first: the mean of standardised targets."""

    def __init__(self, layer: str, width: int, outputs: int, dropout: float, rngs: nnx.Rngs):
        self.layer = layer
        self.dropout = dropout
        self.linear = nnx.Linear(width, outputs, kernel_init=nnx.initializers.zeros, rngs=rngs)

    def __call__(self, features: Features, mode: Mode) -> Float[Array, "b t"]:
        x = features[self.layer]
        return self.linear(dropout(x.reshape(len(x), -1), self.dropout, mode, _HEAD))


class Network(nnx.Module):
    """A backbone and its readout."""

    def __init__(self, backbone: nnx.Module, head: nnx.Module):
        self.backbone = backbone
        self.head = head

    def __call__(self, images: Float[Array, "b h w c"], mode: Mode = EVALUATION) -> Float[Array, "b t"]:
        return self.head(self.backbone(images, mode), mode)


def build_network(
    model: Any, head: Head, image_shape: tuple[int, ...], outputs: int, rngs: nnx.Rngs
) -> Network:
    """`model.build` and `head.build` joined. Trace it (jit, eval_shape): nothing in it should run eagerly."""
    backbone = model.build(image_shape[-1], rngs)
    image = jax.ShapeDtypeStruct((1, *image_shape), "float32")
    order: list[str] = []  # eval_shape sorts its result by name

    def features_of(module: Any, x: Array) -> Features:
        features = module(x, EVALUATION)
        order[:] = features
        return features

    features = nnx.eval_shape(features_of, backbone, image)
    return Network(backbone, head.build({name: features[name] for name in order}, outputs, rngs))
