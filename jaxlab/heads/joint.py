"""The heads of several objectives on one backbone."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.core.types import Mode
from jaxlab.heads.base import Fading, FeatureMaps, FeatureShapes, Head, HeadModule, fork, penalty_of
from jaxlab.heads.gate import in_order, layer_of, read_by

LOG_VARIANCE = "head.log_variance."  # of a learned weight: its path in a network, before the objective's name
_FIRST = 1 << 16  # numbers of the heads' random keys, above those of a head's own parts


@dataclass(frozen=True)
class Joint:
    """Heads by objective, whose outputs lie side by side; what each adds to the loss counts with its weight.

    log_variances: first values, of the objectives whose weights are learned. A head that reads what other objectives
    predict (`AnswerGate`) comes after theirs.
    """

    heads: Mapping[str, Head]
    weights: Mapping[str, float]
    log_variances: Mapping[str, float] = field(default_factory=dict)

    def build(
        self, features: FeatureShapes, targets: Mapping[str, tuple[str, ...]], rngs: nnx.Rngs
    ) -> "JointModule":
        """targets: names of the outputs, or of classes, by objective."""
        outputs = {name: jax.ShapeDtypeStruct((1, len(own)), "float32") for name, own in targets.items()}
        modules = {
            name: head.build(_seen(features, outputs, read_by(head)), targets[name], rngs)
            for name, head in self.heads.items()
        }
        reads = {
            name: tuple(other for other in read_by(head) if other in modules)
            for name, head in self.heads.items()
        }
        return JointModule(modules, tuple(self.weights.items()), self.log_variances, reads)


class JointModule(Fading):
    """outputs = [head(features) for each objective], along the last axis. The log variances are the step's matter."""

    def __init__(
        self,
        modules: dict[str, HeadModule],
        weights: tuple[tuple[str, float], ...],
        log_variances: Mapping[str, float],
        reads: Mapping[str, tuple[str, ...]],
    ):
        self.objectives = nnx.Dict(modules)
        self.weights = weights
        self.order = tuple((name, reads[name]) for name in in_order(reads))
        if log_variances:
            first = {name: nnx.Param(jnp.asarray(value, "float32")) for name, value in log_variances.items()}
            self.log_variance = nnx.Dict(first)

    def __call__(self, features: FeatureMaps, mode: Mode) -> Float[Array, "b t"]:
        number = {name: _FIRST + place for place, (name, _) in enumerate(self.weights)}
        found: dict[str, Array] = {}
        for name, reads in self.order:
            found[name] = self.objectives[name](_seen(features, found, reads), fork(mode, number[name]))
        return jnp.concatenate([found[name].astype(jnp.float32) for name, _ in self.weights], axis=-1)

    def penalty_at(self, epoch: Float[Array, ""] | float) -> Float[Array, ""]:
        return sum(
            (weight * penalty_of(self.objectives[name], epoch) for name, weight in self.weights),
            start=jnp.zeros(()),
        )


def _seen(features: dict[str, Any], outputs: Mapping[str, Any], reads: Iterable[str]) -> dict[str, Any]:
    """Features, and before them, so that their last stays it, what is read of other objectives."""
    return {**{layer_of(name): outputs[name] for name in reads if name in outputs}, **features}
