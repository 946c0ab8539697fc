"""Streaming accuracy and top-k accuracy."""

from dataclasses import dataclass, field
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxlab.metrics.reduce import total


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ClassificationSums:
    """Counts of samples, of first choices that are right, and of truths among the first k choices."""

    count: Float[Array, ""]
    loss: Float[Array, ""]
    right: Float[Array, ""]
    among: Float[Array, ""]
    k: int = field(metadata={"static": True}, default=5)

    @classmethod
    def start(cls, classes: int) -> Self:
        """Sums over no samples; k is 5, or less where there are few classes."""
        zero = jnp.zeros(())
        return cls(zero, zero, zero, zero, k=min(5, max(classes - 1, 1)))

    def add(
        self,
        logits: Float[Array, "b t"],
        label: Int[Array, "b"],
        loss: Float[Array, "b"],
        mask: Bool[Array, "b"] | None = None,
        axis_name: str | None = None,
    ) -> Self:
        """These sums with a batch added. Ties go against the truth: a constant output scores nothing.

        Nor does any output for label -1, a class that is none of these.
        """
        truth = jnp.take_along_axis(logits, label[:, None], axis=1)
        better = (~(logits < truth)).sum(1) - 1  # so that NaN scores nothing either
        better = jnp.where(label < 0, logits.shape[1], better)
        return type(self)(
            count=self.count + total(jnp.ones(len(logits)), mask, axis_name),
            loss=self.loss + total(loss, mask, axis_name),
            right=self.right + total((better < 1).astype("float32"), mask, axis_name),
            among=self.among + total((better < self.k).astype("float32"), mask, axis_name),
            k=self.k,
        )

    def compute(self, ceiling: np.ndarray | None = None) -> dict[str, float]:
        """Mean loss, accuracy and top-k accuracy, the accuracies 0 to 1; a noise ceiling plays no part."""
        sums = jax.device_get(self)
        count = max(float(sums.count), 1.0)
        found = {"loss": float(sums.loss) / count, "accuracy": float(sums.right) / count}
        if self.k > 1:
            found[f"top_{self.k}_accuracy"] = float(sums.among) / count
        return found
