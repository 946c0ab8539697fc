"""Components that subjects share, read by maps of each one's own (Lane & Kiar 2023, "A parameter-efficient ...")."""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.core.subjects import subjects_in
from jaxlab.core.types import Mode, UserError
from jaxlab.heads.base import (
    Fading,
    FeatureMaps,
    FeatureShapes,
    Head,
    HeadModule,
    penalty_of,
    refuse_transforms,
)
from jaxlab.heads.groups import segments


@dataclass(frozen=True, kw_only=True)
class Shared(Head):
    """A readout of few components that all subjects share, and for each subject a linear map from these to its targets.

    y_t = b_t + sum_k c_k U_kt + sum_j o_sj V_jt for target t of subject s: c are the shared components, o_s those of
    the subject's own, which are a correction of low rank to what the subjects have in common. What makes components of
    features learns from the responses of all subjects, and a target has as many weights as it reads components.

    head: makes components of features, as it would make so many targets. components: that all subjects share.
    rank: further ones of each subject's own; 0 for none.
    Subjects are told by names of targets, `SUBJECT/TARGET`, as `Pooled` data have them; others are one subject's.
    """

    head: Head
    components: int = 64
    rank: int = 8

    def check(self) -> None:
        refuse_transforms("Shared.head", self.head)
        if self.components < 1:
            raise UserError(f"Shared.components: expected 1 or more, found {self.components}")
        if self.rank < 0:
            raise UserError(f"Shared.rank: expected 0 or more, found {self.rank}")

    def names(self, targets: tuple[str, ...]) -> tuple[str, ...]:
        """Of all components: the shared ones, then each subject's."""
        own = (f"{subject}/own{k}" for subject in subjects_in(targets) for k in range(self.rank))
        return (*(f"shared{k}" for k in range(self.components)), *own)

    def check_targets(self, targets: tuple[str, ...]) -> None:
        self.head.check_targets(self.names(targets))

    def build(self, features: FeatureShapes, targets: tuple[str, ...], rngs: nnx.Rngs) -> "SharedModule":
        inner = self.head.build(features, self.names(targets), rngs)
        return SharedModule(self, inner, targets, rngs)


class SharedModule(Fading):
    """head: of the components. shared (k, t); own (r, t), or None; bias (t,).

    Maps begin at random, of unit gain; what `head` makes of features at first keeps outputs small.
    """

    def __init__(self, config: Shared, inner: HeadModule, targets: tuple[str, ...], rngs: nnx.Rngs):
        inner.drop_bias()
        self.head = inner
        gain = 1 / math.sqrt(config.components)
        self.shared = nnx.Param(gain * jax.random.normal(rngs.params(), (config.components, len(targets))))
        own = (config.rank, len(targets))
        self.own = nnx.Param(gain * jax.random.normal(rngs.params(), own)) if config.rank else None
        self.bias: nnx.Param | None = nnx.Param(jnp.zeros(len(targets)))
        self.segments = segments(targets)

    def __call__(self, features: FeatureMaps, mode: Mode) -> Float[Array, "b t"]:
        made = self.head(features, mode)
        count = len(self.shared)
        outputs = made[:, :count] @ self.shared[...]
        if self.own is not None:
            outputs = outputs + self.corrections(made[:, count:], self.own[...])
        return outputs if self.bias is None else outputs + self.bias[...][None]

    def corrections(self, made: Float[Array, "b sr"], own: Float[Array, "r t"]) -> Float[Array, "b t"]:
        """What each subject's own components add to its targets."""
        rank = len(own)
        each = [
            made[:, subject * rank : (subject + 1) * rank] @ own[:, first:end]
            for subject, first, end in self.segments
        ]
        return jnp.concatenate(each, axis=1)

    def penalty_at(self, epoch: Float[Array, ""] | float) -> Float[Array, ""]:
        return penalty_of(self.head, epoch)

    def drop_bias(self) -> None:
        self.bias = None

    def begin_at_random(self, rngs: nnx.Rngs) -> None:
        self.head.begin_at_random(rngs)
