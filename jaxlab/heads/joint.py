"""The heads of several objectives on one backbone."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.core.types import Mode
from jaxlab.heads.base import Fading, FeatureMaps, FeatureShapes, Head, HeadModule, fork, penalty_of

LOG_VARIANCE = "head.log_variance."  # of a learned weight: its path in a network, before the objective's name
_FIRST = 1 << 16  # numbers of the heads' random keys, above those of a head's own parts


@dataclass(frozen=True)
class Joint:
    """Heads by objective, whose outputs lie side by side; what each adds to the loss counts with its weight.

    log_variances: first values, of the objectives whose weights are learned.
    """

    heads: Mapping[str, Head]
    weights: Mapping[str, float]
    log_variances: Mapping[str, float] = field(default_factory=dict)

    def build(
        self, features: FeatureShapes, targets: Mapping[str, tuple[str, ...]], rngs: nnx.Rngs
    ) -> "JointModule":
        """targets: names of the outputs, or of classes, by objective."""
        modules = {name: head.build(features, targets[name], rngs) for name, head in self.heads.items()}
        return JointModule(modules, tuple(self.weights.items()), self.log_variances)


class JointModule(Fading):
    """outputs = [head(features) for each objective], along the last axis. The log variances are the step's matter."""

    def __init__(
        self,
        modules: dict[str, HeadModule],
        weights: tuple[tuple[str, float], ...],
        log_variances: Mapping[str, float],
    ):
        self.objectives = nnx.Dict(modules)
        self.weights = weights
        if log_variances:
            first = {name: nnx.Param(jnp.asarray(value, "float32")) for name, value in log_variances.items()}
            self.log_variance = nnx.Dict(first)

    def __call__(self, features: FeatureMaps, mode: Mode) -> Float[Array, "b t"]:
        each = (
            self.objectives[name](features, fork(mode, _FIRST + number))
            for number, (name, _) in enumerate(self.weights)
        )
        return jnp.concatenate([outputs.astype(jnp.float32) for outputs in each], axis=-1)

    def penalty_at(self, epoch: Float[Array, ""] | float) -> Float[Array, ""]:
        return sum(
            (weight * penalty_of(self.objectives[name], epoch) for name, weight in self.weights),
            start=jnp.zeros(()),
        )
