"""Streaming VQA accuracy, of all questions and by type of answer, beside the scores of classes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxlab.metrics.classification import ClassificationSums
from jaxlab.metrics.reduce import total

LABEL, TYPE, ANSWERS = 0, 1, 2  # columns of a question's truth; its annotators' answers are from the third on


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class AnswerSums(ClassificationSums):
    """Scores of classes where several people answered each question.

    earned: the questions' VQA accuracies, summed: of all, then of each type. asked: how many questions these are.
    types: names of the types of answers that are summed alone.
    """

    earned: Float[Array, " k"] = field(default_factory=lambda: jnp.zeros(1))
    asked: Float[Array, " k"] = field(default_factory=lambda: jnp.zeros(1))
    types: tuple[str, ...] = field(metadata={"static": True}, default=())

    @classmethod
    def start(cls, classes: int, terms: Iterable[str] = (), types: tuple[str, ...] = ()) -> Self:
        """Sums over no samples."""
        zeros = jnp.zeros(1 + len(types))
        return replace(super().start(classes, terms), earned=zeros, asked=zeros, types=types)

    def add(
        self,
        logits: Float[Array, "b t"],
        label: Int[Array, "b a"],
        loss: Float[Array, " b"],
        mask: Bool[Array, " b"] | None = None,
        axis_name: str | None = None,
        terms: Mapping[str, Float[Array, " b"]] | None = None,
    ) -> Self:
        """These sums with a batch added. label: (b, 2 + a) of each question its class, -1 for none of them, the number
        of its type, -1 for none of `types`, and the class that each of its a annotators answered, -1 for none.

        The answer is the class with the highest logit, the first of equal ones, as results are written; where logits
        are not finite there is none.
        """
        scored = super().add(logits, label[:, LABEL], loss, mask, axis_name, terms)
        answer = jnp.where(jnp.isfinite(logits).all(1), logits.argmax(1), -2)
        theirs = label[:, ANSWERS:]
        accuracy = accuracy_of((theirs == answer[:, None]).sum(1), theirs.shape[1])
        kinds = jax.nn.one_hot(label[:, TYPE], len(self.types))
        member = jnp.concatenate([jnp.ones((len(kinds), 1)), kinds], 1)
        return replace(
            scored,
            earned=self.earned + total(accuracy[:, None] * member, mask, axis_name),
            asked=self.asked + total(member, mask, axis_name),
            types=self.types,
        )

    def compute(self, ceiling: np.ndarray | None = None) -> dict[str, float]:
        """Those of classes, and VQA accuracy, 0 to 1; NaN of a type that no question has."""
        from submit.metrics.table import (
            of_answer_type,
        )  # brings pandas along, for which a config does not wait

        found = super().compute(ceiling)
        earned, asked = jax.device_get((self.earned, self.asked))
        names = ("vqa_accuracy", *map(of_answer_type, self.types))
        each = zip(names, earned.tolist(), asked.tolist(), strict=True)
        return found | {name: value / count if count else float("nan") for name, value, count in each}


def accuracy_of(same: Int[Array, "..."] | Float[Array, "..."], annotators: int) -> Float[Array, "..."]:
    """VQA accuracy of an answer that `same` of so many annotators gave: `submit.metrics.vqa.accuracy_of`."""
    by_one_of_them, by_another = jnp.minimum((same - 1) / 3, 1), jnp.minimum(same / 3, 1)
    return (same * by_one_of_them + (annotators - same) * by_another) / annotators
