"""What all readouts share: which layers they read, and how those are normalised and dropped first."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.core.config import Component
from jaxlab.core.rng import dropout
from jaxlab.core.rng import fork as fork  # heads within heads take it from here
from jaxlab.core.types import Mode, UserError
from jaxlab.losses import END
from jaxlab.nn.norm import BatchNorm
from jaxlab.nn.spread import by_row, by_target, for_targets

FeatureMaps = dict[str, Array]
FeatureShapes = dict[str, Any]  # features by name as jax.ShapeDtypeStruct, the leading axis the batch
EPSILON = 1e-3  # a channel of far less variance than this is silent, and stays small


@dataclass(frozen=True, kw_only=True)
class Head(Component):
    """Base of all heads.

    rates: whether outputs are 0 or more, as multiples of each target's mean over the training split.
    """

    rates: ClassVar[bool] = False

    def build(self, features: FeatureShapes, targets: tuple[str, ...], rngs: nnx.Rngs) -> "HeadModule":
        """A module from features to (b, t) outputs, one a target or class."""
        raise NotImplementedError

    def encode(self, z: Float[Array, "b t"]) -> Float[Array, "b t"]:
        """Standardised targets in the space in which the loss compares them with outputs."""
        return z

    def decode(self, outputs: Float[Array, "b t"]) -> Float[Array, "b t"]:
        """The inverse of `encode`: outputs as standardised targets."""
        return outputs

    def check_targets(self, targets: tuple[str, ...]) -> None:
        """Raises UserError where files that the head names do not go with these targets; before training alone."""


def refuse_transforms(field: str, head: Head) -> None:
    """Raises UserError for a head inside another that encodes targets, or gives rates: only the outermost one may."""
    if type(head).encode is not Head.encode or head.rates:
        name = type(head).__name__
        raise UserError(
            f"{field}: expected a head that leaves its targets as they are, found {name}: put {name} outside, "
            f"around the whole head"
        )


class HeadModule(nnx.Module):
    """Base of what heads build."""

    def __call__(self, features: FeatureMaps, mode: Mode) -> Float[Array, "b t"]:
        raise NotImplementedError

    def penalty(self) -> Float[Array, ""]:
        """What the head adds to the loss, averaged over targets as the loss is."""
        return jnp.zeros(())

    def drop_bias(self) -> None:
        """Leave out what is added to all outputs alike, before a norm that takes it off again.

        Its gradient would be rounding, of which Adam makes steps as long as any other.
        """

    def begin_at_random(self, rngs: nnx.Rngs) -> None:
        """Weights that would begin at 0 begin at random instead, before a norm.

        Outputs of 0 it would divide by sqrt(eps): the gradient is some hundred times too large, weights are left with
        the direction of a first batch, and overfit from there.
        """


class Fading(HeadModule):
    """Base of the heads whose penalty changes over epochs, or that have others within."""

    def penalty(self) -> Float[Array, ""]:
        return self.penalty_at(END)

    def penalty_at(self, epoch: Float[Array, ""] | float) -> Float[Array, ""]:
        """`penalty` after so many epochs."""
        raise NotImplementedError


def penalty_of(head: HeadModule, epoch: Float[Array, ""] | float) -> Float[Array, ""]:
    """What a head adds to the loss after so many epochs: its `penalty_at`, or where it has one of its own `penalty`."""
    if isinstance(head, Fading) and type(head).penalty is Fading.penalty:
        return head.penalty_at(epoch)
    return head.penalty()


@dataclass(frozen=True, kw_only=True)
class Readout(Head):
    """Base of the heads that read layers directly; outputs are summed over layers.

    layer: one named layer or several (default: the backbone's last).
    normalize: batch norm of each layer's channels first: those of several layers, or of a network that is not
        trained, differ in scale by orders of magnitude.
    dropout: share of the features dropped in training.
    """

    layer: str | tuple[str, ...] | None = None
    normalize: bool = False
    dropout: float = 0.0

    def check(self) -> None:
        name = type(self).__name__
        if not 0 <= self.dropout < 1:
            raise UserError(f"{name}.dropout: expected a share in [0, 1), found {self.dropout}")
        if self.layer == () or (isinstance(self.layer, tuple) and len(set(self.layer)) < len(self.layer)):
            raise UserError(f"{name}.layer: expected one or more different names, found {self.layer}")

    def part(self, shape: tuple[int, ...], targets: int, rngs: nnx.Rngs) -> "Part":
        """The module that reads one layer, whose features have `shape` without the batch."""
        raise NotImplementedError

    def build(self, features: FeatureShapes, targets: tuple[str, ...], rngs: nnx.Rngs) -> "LayersModule":
        shapes = self.shapes(features)
        parts = {name: self.part(shape, len(targets), rngs) for name, shape in shapes.items()}
        return ReadoutModule(parts, self.norms(shapes), len(targets), self.dropout)

    def shapes(self, features: FeatureShapes) -> dict[str, tuple[int, ...]]:
        """Of the layers that are read, without the batch. Raises UserError for one that does not fit."""
        return {name: tuple(features[name].shape[1:]) for name in self._layers(features)}

    def norms(self, shapes: dict[str, tuple[int, ...]]) -> dict[str, BatchNorm]:
        """By layer; none unless `normalize` is set."""
        plain = partial(BatchNorm, eps=EPSILON, affine=False)  # the weights that follow scale as well
        return {name: plain(shape[-1]) for name, shape in shapes.items() if self.normalize}

    def _layers(self, features: FeatureShapes) -> tuple[str, ...]:
        names = (self.layer,) if isinstance(self.layer, str) else self.layer or (list(features)[-1],)
        if unknown := [name for name in names if name not in features]:
            several = '. Several are written as ("a", "b")' if any("," in name for name in unknown) else ""
            raise UserError(
                f"{type(self).__name__}.layer: the model has no layer {', '.join(map(repr, unknown))}; "
                f"it has {', '.join(features)}{several}"
            )
        return names


def check_penalties(config: Readout, *names: str) -> None:
    """Raises UserError where a penalty's strength is negative."""
    for name in names:
        if getattr(config, name) < 0:
            raise UserError(
                f"{type(config).__name__}.{name}: expected 0 or more, found {getattr(config, name)}"
            )


@dataclass(frozen=True, kw_only=True)
class SpatialReadout(Readout):
    """Base of the readouts that need a layer's height and width; they normalise unless told otherwise."""

    normalize: bool = True

    def _layers(self, features: FeatureShapes) -> tuple[str, ...]:
        names = super()._layers(features)
        spatial = [name for name, shape in features.items() if len(shape.shape) == 4]
        if flat := [name for name in names if name not in spatial]:
            found = ", ".join(f"{name} {tuple(features[name].shape[1:])}" for name in flat)
            raise UserError(
                f"{type(self).__name__}.layer: expected layers with height and width "
                f"({', '.join(spatial) or 'the model has none'}), found {found}"
            )
        return names


class Part(nnx.Module):
    """Base of what reads one layer."""

    def __call__(self, x: Float[Array, " b *shape"], mode: Mode) -> Float[Array, "b t"]:
        raise NotImplementedError

    def penalty(self) -> Float[Array, ""]:
        """What the part adds to the loss."""
        return jnp.zeros(())

    def begin_at_random(self, rngs: nnx.Rngs) -> None:
        """As a head does."""


class LayersModule(HeadModule):
    """Base of what reads layers; the bias may be dropped. names: of the layers, in order.

    observed: it leaves `ranges`, (2, c) the least and the largest value of each channel of each layer as it comes.
    """

    def __init__(self, names: tuple[str, ...], norms: dict[str, BatchNorm], targets: int, dropout: float):
        self.norms = nnx.Dict(norms)
        self.bias: nnx.Param | None = nnx.Param(jnp.zeros(targets))  # the mean of standardised targets
        self.targets = targets
        self.names = names
        self.dropout = dropout
        self.observed = False

    def prepared(self, features: FeatureMaps, mode: Mode) -> Iterator[tuple[str, Array, Mode]]:
        """(name, dropout(norm(features)), a mode of its own) of each layer."""
        if self.observed:
            self.ranges = nnx.Dict({name: nnx.Intermediate(_range(features[name])) for name in self.names})
        for number, name in enumerate(self.names):
            own, x = fork(mode, number), features[name]
            x = self.norms[name](x, own) if self.norms else x
            yield name, for_targets(dropout(x, self.dropout, own, 0), self.targets), own

    @property
    def start(self) -> Float[Array, "1 t"]:
        """What is added to all outputs."""
        return jnp.zeros((1, self.targets)) if self.bias is None else self.bias[...][None]

    def drop_bias(self) -> None:
        self.bias = None


def _range(x: Float[Array, "*b c"]) -> Float[Array, "2 c"]:
    axes = tuple(range(x.ndim - 1))
    return jnp.stack([x.min(axes), x.max(axes)]).astype(jnp.float32)


class ReadoutModule(LayersModule):
    """outputs = bias + sum over layers of part(dropout(norm(features)))."""

    def __init__(self, parts: "dict[str, Part]", norms: dict[str, BatchNorm], targets: int, dropout: float):
        super().__init__(tuple(parts), norms, targets, dropout)
        self.layers = nnx.Dict(parts)

    def __call__(self, features: FeatureMaps, mode: Mode) -> Float[Array, "b t"]:
        outputs = self.start
        for name, x, own in self.prepared(features, mode):
            outputs = outputs + by_target(self.layers[name](x, own))
        return by_row(outputs)

    def begin_at_random(self, rngs: nnx.Rngs) -> None:
        for name in self.names:
            if isinstance(part := self.layers[name], Part):  # a plain nnx.Module begins as it is
                part.begin_at_random(rngs)

    def penalty(self) -> Float[Array, ""]:
        own = (
            getattr(self.layers[name], "penalty", None) for name in self.names
        )  # a plain nnx.Module has none
        return sum((penalty() for penalty in own if penalty is not None), start=jnp.zeros(()))
