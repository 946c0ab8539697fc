"""The heads of several objectives on one backbone."""

from collections.abc import Mapping
from dataclasses import dataclass

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.core.types import Mode
from jaxlab.heads.base import FeatureMaps, FeatureShapes, Head, HeadModule, fork

_FIRST = 1 << 16  # numbers of the heads' random keys, above those of a head's own parts


@dataclass(frozen=True)
class Joint:
    """Heads by objective, whose outputs lie side by side; what each adds to the loss counts with its weight."""

    heads: Mapping[str, Head]
    weights: Mapping[str, float]

    def build(
        self, features: FeatureShapes, targets: Mapping[str, tuple[str, ...]], rngs: nnx.Rngs
    ) -> "JointModule":
        """targets: names of the outputs, or of classes, by objective."""
        modules = {name: head.build(features, targets[name], rngs) for name, head in self.heads.items()}
        return JointModule(modules, tuple(self.weights.items()))


class JointModule(HeadModule):
    """outputs = [head(features) for each objective], along the last axis."""

    def __init__(self, modules: dict[str, HeadModule], weights: tuple[tuple[str, float], ...]):
        self.objectives = nnx.Dict(modules)
        self.weights = weights

    def __call__(self, features: FeatureMaps, mode: Mode) -> Float[Array, "b t"]:
        each = (
            self.objectives[name](features, fork(mode, _FIRST + number))
            for number, (name, _) in enumerate(self.weights)
        )
        return jnp.concatenate([outputs.astype(jnp.float32) for outputs in each], axis=-1)

    def penalty(self) -> Float[Array, ""]:
        return sum(
            (weight * self.objectives[name].penalty() for name, weight in self.weights),
            start=jnp.zeros(()),
        )
