"""Losses of classes of which several may be right."""

from dataclasses import dataclass
from typing import ClassVar

import optax
from jaxtyping import Array, Float

from jaxlab.core.types import Kind
from jaxlab.losses.base import Loss


@dataclass(frozen=True, kw_only=True)
class SoftAnswers(Loss):
    """Binary cross-entropy of each class, summed over classes, in nats (Teney et al. 2017, arXiv 1708.02711).

    Of questions that several people answered: the truth of a class is the VQA accuracy that it would have as answer,
    0 to 1, so that answers that some gave are not all wrong. Also of probabilities, as distillation has them.
    The network's outputs are then logits of a sigmoid each; the highest of them is the answer as ever, and what is
    written as probabilities is their softmax.
    """

    of_answers: ClassVar[bool] = True

    @property
    def kind(self) -> Kind:
        return "classification"

    def __call__(self, outputs: Float[Array, "b t"], truth: Array) -> Float[Array, " b"]:
        if truth.shape != outputs.shape:
            raise ValueError(
                f"SoftAnswers: outputs {outputs.shape} need the accuracy of each class (b, t), found {truth.shape}"
            )
        return optax.sigmoid_binary_cross_entropy(outputs, truth).sum(-1)
