"""One of several classes as an objective."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlab.core import tree
from jaxlab.core.types import Samples, UserError
from jaxlab.data.source import Opened, examples
from jaxlab.heads import Head
from jaxlab.metrics import ClassificationSums, Sums
from jaxlab.objectives.learnable import check_classes, unseen_classes
from jaxlab.objectives.resolved import SHARE, Labelled, Resolved, reduced
from jaxlab.objectives.teacher import Teacher
from jaxlab.pretext import PRETEXT
from submit.late import Late

if TYPE_CHECKING:
    from scipy import special

    from submit.scores import by_class as scores
    from submit.scores import pairing
    from submit.scores.by_class import ByClass
else:
    special, scores, pairing = map(Late, ("scipy.special", "submit.scores.by_class", "submit.scores.pairing"))


FORMS = ("probabilities", "labels", "logits")


class Classification(Resolved):
    """One of several classes; outputs are logits, and the truth the position of a class, -1 for none of them."""

    kind = "classification"
    written = "logits"
    usual_loss = "CrossEntropy()"
    usual_truth = "label"
    fewest_views = 1
    certainty = 1.0

    @classmethod
    def check_head(cls, head: Head) -> None:
        if type(head).encode is not Head.encode or head.rates:
            raise UserError(
                f"head={type(head).__name__}() is for numbers, but the loss is for classification"
            )

    @staticmethod
    def stored(samples: Samples) -> np.ndarray | None:
        """(n,) int32: the samples' own truth of this kind."""
        return samples.label

    @staticmethod
    def names(opened: Opened) -> tuple[str, ...]:
        return opened.class_names

    @staticmethod
    def names_in(column: str, values: np.ndarray, where: str, missing: bool = False) -> tuple[str, ...]:
        """The classes in a column, sorted. Raises UserError for one that is of no use as such."""
        cells = values.astype(str)
        if empty := np.flatnonzero(np.char.strip(cells) == "").tolist():
            raise UserError(f"{where}: {len(empty)} cells are empty (rows {examples(empty)})")
        classes = tuple(np.unique(cells).tolist())
        if len(classes) < 2:
            raise UserError(f"{where}: expected two classes or more, found {examples(classes)}")
        return classes

    def truth(self, samples: Samples) -> np.ndarray | None:
        """(n,) int32 labels; of a teacher its probabilities (n, t) float32."""
        if self.teacher is not None:
            return self.said_by(self.teacher, samples)
        if self.of == PRETEXT:
            return None
        if self.of == self.usual_truth:
            return samples.label
        number = {name: k for k, name in enumerate(self.targets)}
        cells = np.asarray(samples.columns[self.of]).astype(str).tolist()
        return np.array([number.get(cell, -1) for cell in cells], np.int32)

    def said_by(self, teacher: Teacher, samples: Samples) -> np.ndarray:
        return teacher.probabilities(samples.ids)

    def scored(self, truth: Any) -> Any:
        """Labels; of a teacher the class that it finds most probable."""
        return truth.argmax(-1) if truth.ndim == 2 else truth

    def learnable(
        self, samples: Samples, learn: np.ndarray, standardize: bool, limited: bool = False
    ) -> list[str]:
        if len(self.targets) < 2:
            raise UserError(
                f"objective {self.name!r}: expected two classes or more to tell apart, found {examples(self.targets)}"
            )
        truth = self.truth(samples)
        self.taught_by(samples)
        if truth is None or limited:
            return []
        counts = self._counts(truth[learn])
        if self.loss.needs_shares:
            check_classes(self.name, type(self.loss).__name__, counts, self.targets)
        return unseen_classes(self.name, counts, self.targets)

    def constants(self, truth: np.ndarray, standardize: bool) -> tree.Flat:
        """{class_share}: (t,) float32 of the training split's labels, for a loss that needs it; {} for others.

        Half a sample stands for none, which a `limit` may leave of a class.
        """
        if not self.loss.needs_shares:
            return {}
        counts = np.maximum(self._counts(truth), 0.5)
        return {f"{self.prefix}{SHARE}": (counts / counts.sum()).astype(np.float32)}

    def _counts(self, truth: np.ndarray) -> np.ndarray:
        """(t,) how many samples each class has."""
        if truth.ndim == 2:
            return truth.sum(0, dtype=np.float64)
        return np.bincount(truth[truth >= 0], minlength=len(self.targets))

    def compared(self, truth: Array, constants: tree.Flat) -> Array:
        return truth

    def encoded(self, values: Float[Array, "b t"], constants: tree.Flat) -> Float[Array, "b t"]:
        return values

    def in_units(self, outputs: Float[Array, "b t"], constants: tree.Flat) -> Float[Array, "b t"]:
        return outputs

    def start(self) -> Sums:
        return ClassificationSums.start(len(self.targets), self.terms)

    def collapsed(self, sums: Sums) -> str | None:
        """Where one class is predicted, and there are others."""
        assert isinstance(sums, ClassificationSums)
        predicted, actual = (np.flatnonzero(jax.device_get(side)) for side in (sums.predicted, sums.actual))
        if len(predicted) != 1 or len(actual) < 2:
            return None
        return f"all validation samples are predicted to be {self.targets[predicted[0]]!r}"

    def breakdown(self, labelled: Labelled, opened: Opened) -> "ByClass":
        rows, values, truth = labelled.rows, labelled.values, self.truth(opened.train)
        if truth is None:
            raise UserError(f"the data have no {self.of} to compare predictions with")
        predicted = np.where(np.isfinite(values).all(1), values.argmax(1), -1)
        ids, classes = opened.train.ids[rows], np.array(self.targets)
        place = np.arange(len(rows))
        return scores.by_class(
            pairing.PairedClasses(
                ids, classes, predicted, self.single(truth)[rows], values, place, scores_kind="logits"
            )
        )

    def presented(self, values: np.ndarray, form: str | None) -> np.ndarray:
        if form not in (None, *FORMS):
            raise UserError(f"as_: expected one of {', '.join(FORMS)}, found {form!r}")
        if form == "probabilities":
            return special.softmax(values.astype(np.float64), axis=1).astype(np.float32)
        if form == "labels":
            if bad := np.flatnonzero(~np.isfinite(values).all(1)).tolist():
                raise UserError(
                    f"labels: predictions of {len(bad)} images are not finite (rows {examples(bad)})"
                )
            return np.array(self.targets)[values.argmax(1)]
        return values

    nothing = -float("inf")

    def viewed(self, outputs: Float[Array, "b t"], constants: tree.Flat) -> Float[Array, "b t"]:
        return jax.nn.log_softmax(outputs)

    def add(self, total: Array, values: Array) -> Array:
        return jnp.logaddexp(total, values)

    def mean(self, total: Array, count: int) -> Array:
        return total - np.log(count).astype(np.float32)

    def mean_over_views(self, values: Float[Array, "v b t"]) -> Float[Array, "b t"]:
        return self.mean(jax.nn.logsumexp(values, axis=0), len(values))

    def valid(self, values: Float[Array, "b t"]) -> Float[Array, "b t"]:
        return jax.nn.log_softmax(values)

    def disagreement(
        self, values: Float[Array, "v b t"], trained: Float[Array, "b t"], stay: float, constants: tree.Flat
    ) -> Float[Array, " b"]:
        """The entropy of mean probabilities p, and `stay` times KL(trained || p)."""
        p = self.mean_over_views(values)
        return -(jnp.exp(p) * p).sum(1) + stay * (jnp.exp(trained) * (trained - p)).sum(1)

    def mean_of(self, members: Iterable[np.ndarray]) -> np.ndarray:
        """Logarithms of mean probabilities, since these are what ensembles average."""
        return reduced(
            members,
            lambda logits: special.log_softmax(logits, 1),
            np.logaddexp,
            lambda total, count: total - np.log(count),
            np.float32,
        )

    def moved(self, before: np.ndarray, after: np.ndarray) -> float:
        """The share of samples with another first choice."""
        return float((before.argmax(1) != after.argmax(1)).mean())

    def moved_text(self, moved: float) -> str:
        return f"{moved:.1%} of images have another first choice than without"
