"""Answers by what their words mean: the cosine between an embedding of the question's sample and theirs."""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxlab.core.types import Mode, UserError
from jaxlab.heads.answers import AnswersModule, AnswerVectors, RandomVectors
from jaxlab.heads.base import FeatureMaps, FeatureShapes, LayersModule, Readout
from jaxlab.heads.linear import LinearPart
from jaxlab.nn.fixed import Fixed


@dataclass(frozen=True, kw_only=True)
class CosineAnswers(Readout):
    """logits = scale * cos(embedding, answer), of a linear embedding of the layers and the vectors of answers.

    Without a scale well above 1 a softmax over cosines, which lie between -1 and 1, cannot tell its classes apart: of
    1,000 the likeliest gets at most 0.7 %. It is learned as CLIP's is, by its logarithm and up to `most` (Radford et
    al. 2021, section 2.5).

    answers: what makes their vectors, of the same size as the embedding: `TextAnswers`, or a class of your own.
    scale: at first; 14.3 is CLIP's. learned: whether it trains, without weight decay. most: what it never exceeds.
    unit: whether both sides are brought to length 1; False compares by plain products, of what lengths there are.
    centred: the mean over answers is taken off their vectors first: those of language models share most of their
        direction, so that all cosines are nearly the same.
    """

    answers: AnswerVectors = RandomVectors()
    scale: float = 14.3
    learned: bool = True
    most: float = 100.0
    unit: bool = True
    centred: bool = True

    undecayed = ("log_scale",)

    def check(self) -> None:
        super().check()
        if not 0 < self.scale <= self.most < math.inf:
            raise UserError(
                f"CosineAnswers.scale: expected more than 0 and at most {self.most}, found {self.scale}"
            )

    def build(self, features: FeatureShapes, targets: tuple[str, ...], rngs: nnx.Rngs) -> "LayersModule":
        return CosineModule(self, self.shapes(features), targets, rngs)


class CosineModule(LayersModule, AnswersModule):
    """layers: of each the kernel (values, d). answers (t, d): fixed. log_scale (): where it is learned."""

    def __init__(
        self,
        head: CosineAnswers,
        shapes: dict[str, tuple[int, ...]],
        targets: tuple[str, ...],
        rngs: nnx.Rngs,
    ):
        size = head.answers.size
        super().__init__(tuple(shapes), head.norms(shapes), size, head.dropout)
        parts = {name: LinearPart(math.prod(shape), size) for name, shape in shapes.items()}
        for part in parts.values():
            part.begin_at_random(rngs)
        self.layers = nnx.Dict(parts)
        self.answers = Fixed(jnp.zeros((len(targets), size)))
        self.config, self.words, self.head = head.answers, targets, head
        first = math.log(head.scale)
        self.log_scale = nnx.Param(jnp.asarray(first)) if head.learned else None

    def __call__(self, features: FeatureMaps, mode: Mode) -> Float[Array, "b t"]:
        x = self.start
        for name, values, own in self.prepared(features, mode):
            x = x + self.layers[name](values, own)
        x, answers = x.astype(jnp.float32), self.answers[...].astype(jnp.float32)
        if self.head.centred and len(answers) > 1:
            answers = answers - answers.mean(0, keepdims=True)
        if self.head.unit:
            x, answers = _unit(x), _unit(answers)
        return self.scale * (x @ answers.T)

    @property
    def scale(self) -> Float[Array, ""]:
        """What cosines are multiplied by; its gradient ends at `most`."""
        if self.log_scale is None:
            return jnp.asarray(self.head.scale)
        log_scale = self.log_scale[...].astype(jnp.float32)
        return jnp.exp(jnp.minimum(log_scale, math.log(self.head.most)))


def _unit(x: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """Rows of length 1; of 0 they stay so, with a finite slope."""
    return x * jax.lax.rsqrt(jnp.maximum(jnp.square(x).sum(-1, keepdims=True), 1e-12))
