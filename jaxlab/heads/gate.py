"""An answer-type gate: what kind of answer a question asks for decides which answers come into question."""

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.core.config import components
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

_BEFORE = "objective/"  # the name of a layer that is what another objective predicts


@dataclass(frozen=True, kw_only=True)
class AnswerGate(Head):
    """The answers of `head`, let through by what another objective predicts of their type (arXiv 2206.05281, sect. 3).

    That objective's logits, of all types, go through a linear layer to one gate an answer, a sigmoid. Its own loss on
    the types, as of `Objective(of="answer_type", loss=CrossEntropy())`, makes it one; the gate's gradient reaches it.

    head: what answers are read by. by: the name of the objective of their types, a classification.
    how: "product" multiplies an answer's logit by its gate, as the paper does; "log" adds the gate's logarithm, so that
        it is the answer's probability that is multiplied.
    """

    head: Head
    by: str
    how: Literal["product", "log"] = "product"

    def check(self) -> None:
        refuse_transforms("AnswerGate.head", self.head)

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.by,)

    def check_targets(self, targets: tuple[str, ...]) -> None:
        self.head.check_targets(targets)

    def build(self, features: FeatureShapes, targets: tuple[str, ...], rngs: nnx.Rngs) -> "AnswerGateModule":
        name = layer_of(self.by)
        if name not in features:
            raise UserError(
                f"AnswerGate.by: expected the name of another objective of the experiment, found {self.by!r}"
            )
        inner = self.head.build({k: v for k, v in features.items() if k != name}, targets, rngs)
        return AnswerGateModule(inner, name, features[name].shape[-1], len(targets), self.how, rngs)


class AnswerGateModule(Fading):
    """gate: types -> answers, zero at first, so that all gates begin at one half."""

    def __init__(self, inner: HeadModule, layer: str, types: int, answers: int, how: str, rngs: nnx.Rngs):
        self.inner = inner
        self.gate = nnx.Linear(types, answers, kernel_init=nnx.initializers.zeros, rngs=rngs)
        self.layer = layer
        self.how = how

    def __call__(self, features: FeatureMaps, mode: Mode) -> Float[Array, "b t"]:
        logits = self.inner(features, mode).astype(jnp.float32)
        gate = self.gate(features[self.layer]).astype(jnp.float32)
        return logits * jax.nn.sigmoid(gate) if self.how == "product" else logits + jax.nn.log_sigmoid(gate)

    def penalty_at(self, epoch: Float[Array, ""] | float) -> Float[Array, ""]:
        return penalty_of(self.inner, epoch)


def layer_of(objective: str) -> str:
    """Under which name a head finds what another objective predicts."""
    return f"{_BEFORE}{objective}"


def read_by(head: Head) -> tuple[str, ...]:
    """Names of the objectives whose outputs a head, or one within it, takes."""
    names = (name for part in components(head) for name in getattr(part, "reads", ()))
    return tuple(dict.fromkeys(names))


def in_order(reads: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The objectives such that each comes after those that it reads. Raises UserError where there is no such order."""
    try:
        return tuple(TopologicalSorter(reads).static_order()) if any(reads.values()) else tuple(reads)
    except CycleError as error:
        raise UserError(
            f"AnswerGate.by: objectives read one another in a circle: {' <- '.join(error.args[1])}"
        ) from None
