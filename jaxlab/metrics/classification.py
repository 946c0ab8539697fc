"""Streaming accuracy, top-k accuracy, precision, recall and F1."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxlab.metrics.reduce import total
from jaxlab.metrics.terms import means_of_terms, terms_added


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ClassificationSums:
    """Counts of samples and of truths among the first k choices, and three counts of each class.

    right: first choices that are, by their class; predicted: first choices; actual: truths. They are all that
    precision, recall and F1 need, where a confusion matrix would take the classes squared from every device and step.
    terms: what the loss adds up, summed as it is.
    """

    count: Float[Array, ""]
    loss: Float[Array, ""]
    among: Float[Array, ""]
    right: Float[Array, " t"]
    predicted: Float[Array, " t"]
    actual: Float[Array, " t"]
    k: int = field(metadata={"static": True}, default=5)
    terms: dict[str, Float[Array, ""]] = field(default_factory=dict)

    @classmethod
    def start(cls, classes: int, terms: Iterable[str] = ()) -> Self:
        """Sums over no samples; k is 5, or less where there are few classes. terms: names of what the loss adds up."""
        zero, zeros = jnp.zeros(()), jnp.zeros(classes)
        k = min(5, max(classes - 1, 1))
        return cls(zero, zero, zero, zeros, zeros, zeros, k=k, terms=dict.fromkeys(terms, zero))

    def add(
        self,
        logits: Float[Array, "b t"],
        label: Int[Array, " b"],
        loss: Float[Array, " b"],
        mask: Bool[Array, " b"] | None = None,
        axis_name: str | None = None,
        terms: Mapping[str, Float[Array, " b"]] | None = None,
    ) -> Self:
        """These sums with a batch added. Ties go against the truth: a constant output scores nothing.

        Nor does any output for label -1, a class that is none of these.
        """
        truth = jnp.take_along_axis(logits, label[:, None], axis=1)
        better = (~(logits < truth)).sum(1) - 1  # so that NaN scores nothing either
        better = jnp.where(label < 0, logits.shape[1], better)
        actual = jax.nn.one_hot(label, logits.shape[1])
        choices = jax.nn.one_hot(logits.argmax(1), logits.shape[1])
        return type(self)(
            count=self.count + total(jnp.ones(len(logits)), mask, axis_name),
            loss=self.loss + total(loss, mask, axis_name),
            among=self.among + total((better < self.k).astype("float32"), mask, axis_name),
            right=self.right + total(actual * (better < 1)[:, None], mask, axis_name),
            predicted=self.predicted + total(choices, mask, axis_name),
            actual=self.actual + total(actual, mask, axis_name),
            k=self.k,
            terms=terms_added(self.terms, terms, mask, axis_name),
        )

    def compute(self, ceiling: np.ndarray | None = None) -> dict[str, float]:
        """Mean loss; accuracy, top-k accuracy, precision, recall and F1, all 0 to 1; a noise ceiling plays no part.

        Macro is the mean over the classes that are there or predicted, 0 / 0 counting 0; micro, that of all samples
        together, is the accuracy but where labels are -1.
        """
        from submit.metrics import rates  # brings pandas along, for which a config does not wait

        sums = jax.device_get(self)
        count = max(float(sums.count), 1.0)
        found = {"loss": float(sums.loss) / count, "accuracy": float(sums.right.sum()) / count}
        if self.k > 1:
            found[f"top_{self.k}_accuracy"] = float(sums.among) / count
        for average in ("macro", "micro"):
            of = rates(sums.right, sums.predicted, sums.actual, average)
            names = (f"{rate}_{average}" for rate in ("precision", "recall", "f1"))
            found |= {name: float(value) for name, value in zip(names, of, strict=True)}
        return found | means_of_terms(sums.terms, count)
