"""Heads made of heads: one for each region of interest, or several whose outputs are added."""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.core.config import Component
from jaxlab.core.types import Mode, UserError
from jaxlab.heads.base import (
    Fading,
    FeatureMaps,
    FeatureShapes,
    Head,
    HeadModule,
    fork,
    penalty_of,
    refuse_transforms,
)
from jaxlab.heads.groups import check_pattern, columns_of


@dataclass(frozen=True, kw_only=True)
class ROI(Component):
    """Some of the targets, and the head that predicts them.

    name: of the region, in messages and in the names of its parameters. targets: a regular expression that the whole
    name of a target matches. head: what predicts these.
    """

    name: str
    targets: str
    head: Head

    def check(self) -> None:
        refuse_transforms(f"ROI {self.name!r}: head", self.head)
        check_pattern(f"ROI {self.name!r}: expected targets", self.targets)


@dataclass(frozen=True, kw_only=True)
class PerROI(Head):
    """A head for each region of interest; each target belongs to exactly one.

    parts: the regions.
    """

    parts: tuple[ROI, ...]

    def check(self) -> None:
        names = [part.name for part in self.parts]
        if not names or len(set(names)) < len(names):
            raise UserError(f"PerROI.parts: expected one or more of different names, found {names}")

    def build(self, features: FeatureShapes, targets: tuple[str, ...], rngs: nnx.Rngs) -> "PerROIModule":
        columns = self._columns(targets)
        modules = {
            part.name: part.head.build(features, tuple(targets[k] for k in own), rngs)
            for part, own in zip(self.parts, columns, strict=True)
        }
        return PerROIModule(modules, columns)

    def _columns(self, targets: tuple[str, ...]) -> list[list[int]]:
        """The positions of each part's targets."""
        patterns = {f"{part.name} ({part.targets!r})": part.targets for part in self.parts}
        return columns_of("PerROI.parts", "part", patterns, targets)

    def check_targets(self, targets: tuple[str, ...]) -> None:
        for part, own in zip(self.parts, self._columns(targets), strict=True):
            part.head.check_targets(tuple(targets[k] for k in own))


class PerROIModule(Fading):
    """Each part's outputs, put in the order of the targets."""

    def __init__(self, parts: dict[str, HeadModule], columns: list[list[int]]):
        self.parts = nnx.Dict(parts)
        self.names = tuple(parts)
        joined = np.concatenate(columns)
        self.order = tuple(np.argsort(joined).tolist())
        self.shares = tuple(len(own) / len(joined) for own in columns)

    def __call__(self, features: FeatureMaps, mode: Mode) -> Float[Array, "b t"]:
        outputs = [self.parts[name](features, fork(mode, k)) for k, name in enumerate(self.names)]
        joined, order = jnp.concatenate(outputs, axis=1), np.array(self.order)
        if self.order == tuple(range(len(order))):
            return joined  # a slice of it then computes nothing else
        return joined.at[:, order].get(unique_indices=True)

    def penalty_at(self, epoch: Float[Array, ""] | float) -> Float[Array, ""]:
        """Parts count by their number of targets, so that splitting a head changes nothing."""
        parts = zip(self.shares, self.names, strict=True)
        return sum((share * penalty_of(self.parts[name], epoch) for share, name in parts), jnp.zeros(()))

    def drop_bias(self) -> None:
        for name in self.names:
            self.parts[name].drop_bias()

    def begin_at_random(self, rngs: nnx.Rngs) -> None:
        for name in self.names:
            self.parts[name].begin_at_random(rngs)


@dataclass(frozen=True, kw_only=True)
class Sum(Head):
    """Several heads at once, their outputs added.

    heads: one or more, each of any layers.
    """

    heads: tuple[Head, ...]

    def check(self) -> None:
        if not self.heads:
            raise UserError("Sum.heads: expected one or more, found none")
        for number, head in enumerate(self.heads):
            refuse_transforms(f"Sum.heads.{number}", head)

    def build(self, features: FeatureShapes, targets: tuple[str, ...], rngs: nnx.Rngs) -> "SumModule":
        return SumModule([head.build(features, targets, rngs) for head in self.heads])

    def check_targets(self, targets: tuple[str, ...]) -> None:
        for head in self.heads:
            head.check_targets(targets)


class SumModule(Fading):
    """The sum of the heads' outputs."""

    def __init__(self, heads: list[HeadModule]):
        self.heads = nnx.List(heads)

    def __call__(self, features: FeatureMaps, mode: Mode) -> Float[Array, "b t"]:
        first, *others = (head(features, fork(mode, k)) for k, head in enumerate(self.heads))
        return sum(others, first)

    def penalty_at(self, epoch: Float[Array, ""] | float) -> Float[Array, ""]:
        return sum((penalty_of(head, epoch) for head in self.heads), jnp.zeros(()))

    def drop_bias(self) -> None:
        for head in self.heads:
            head.drop_bias()

    def begin_at_random(self, rngs: nnx.Rngs) -> None:
        for head in self.heads:
            head.begin_at_random(rngs)
