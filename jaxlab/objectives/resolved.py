"""Objectives with the data's names: all that depends on whether numbers or classes are predicted.

Each owns its truth, what the loss compares, its sums and scores, and how several predictions become one. Arrays in,
arrays out; everything is static, so that a compiled step holds it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlab.core import tree
from jaxlab.core.late import Late
from jaxlab.core.types import Kind, Samples, UserError
from jaxlab.data.source import Opened, examples
from jaxlab.heads import Head
from jaxlab.losses import Loss, Total
from jaxlab.metrics import ClassificationSums, RegressionSums, Sums

if TYPE_CHECKING:
    from scipy import special

    from submit.metrics import table
else:
    special, table = Late("scipy.special"), Late("submit.metrics.table")

_TARGETS = (
    512  # whose mean and deviation are taken at a time: in float64, all of a whole brain would be gigabytes
)


@dataclass(frozen=True, eq=False)
class Resolved(ABC):
    """One objective of a network.

    name: in the experiment. of: "activity", "label" or a column. targets: names of its outputs, or of classes.
    first: the first of its columns among the network's outputs. prefix: of its constants; "" of a sole objective.
    """

    kind: ClassVar[Kind]
    written: ClassVar[Literal["regression", "logits"]]  # the kind of `submit.Predictions`
    usual_loss: ClassVar[str]
    usual_truth: ClassVar[str]
    fewest_views: ClassVar[int]  # from which on their agreement moves the mean

    name: str
    of: str
    head: Head
    loss: Loss
    targets: tuple[str, ...]
    weight: float = 1.0
    first: int = 0
    prefix: str = ""

    @classmethod
    @abstractmethod
    def check_head(cls, head: Head) -> None:
        """Raises UserError for a head that cannot predict such."""

    @property
    def headline(self) -> str:
        """The score to show, and to choose by."""
        return table.headline(self.kind).name

    def own(self, outputs: Float[Array, "b k"]) -> Float[Array, "b t"]:
        """Its columns of the network's outputs."""
        return outputs[:, self.first : self.first + len(self.targets)] if self.prefix else outputs

    def losses(
        self, outputs: Float[Array, "b t"], truth: Array, constants: tree.Flat, total: Total
    ) -> Float[Array, " b"]:
        """One a row; `outputs` are its own, truth in its own units. total: as losses take it."""
        return self.loss.rows(outputs, self.compared(truth, constants), total)

    @abstractmethod
    def truth(self, samples: Samples) -> np.ndarray | None:
        """Of all samples, as batches carry it; None where they have none."""

    @abstractmethod
    def constants(self, truth: np.ndarray, standardize: bool) -> tree.Flat:
        """What the training split's truth gives the network."""

    @abstractmethod
    def compared(self, truth: Array, constants: tree.Flat) -> Array:
        """The truth as the loss compares it with outputs."""

    @abstractmethod
    def encoded(self, values: Float[Array, "b t"], constants: tree.Flat) -> Float[Array, "b t"]:
        """Predictions as outputs: the inverse of `in_units`."""

    @abstractmethod
    def in_units(self, outputs: Float[Array, "b t"], constants: tree.Flat) -> Float[Array, "b t"]:
        """Outputs as predictions: in the targets' own units, or logits."""

    @abstractmethod
    def start(self) -> Sums:
        """Empty sums."""

    def scores(self, sums: Sums, ceiling: np.ndarray | None) -> dict[str, float]:
        """What sums come to. ceiling: (t,), of the data's targets; plays no part elsewhere."""
        return sums.compute(ceiling if self.of == Regression.usual_truth else None)

    # -- several predictions of the same rows

    @property
    @abstractmethod
    def nothing(self) -> float:
        """What adding up starts from."""

    @abstractmethod
    def viewed(self, outputs: Float[Array, "b t"], constants: tree.Flat) -> Float[Array, "b t"]:
        """Outputs as what is added up over views: in the targets' own units, or logarithms of probabilities."""

    @abstractmethod
    def add(self, total: Array, values: Array) -> Array:
        """One more of what `viewed` gives."""

    @abstractmethod
    def mean(self, total: Array, count: int) -> Array:
        """The mean of `count` values from their total; of probabilities its logarithm."""

    @abstractmethod
    def mean_over_views(self, values: Float[Array, "v b t"]) -> Float[Array, "b t"]:
        """The same of values at hand."""

    @abstractmethod
    def valid(self, values: Float[Array, "b t"]) -> Float[Array, "b t"]:
        """Values that were moved, as predictions again: probabilities add up to one."""

    @abstractmethod
    def disagreement(
        self, values: Float[Array, "v b t"], trained: Float[Array, "b t"], stay: float, constants: tree.Flat
    ) -> Float[Array, " b"]:
        """How much views disagree, and with weight `stay` how far their mean is from the `trained` network's."""

    @abstractmethod
    def mean_of(self, members: Iterable[np.ndarray]) -> np.ndarray:
        """(n, t) float32: the mean of networks' predictions, on the host; of classes as logits."""

    @abstractmethod
    def moved(self, before: np.ndarray, after: np.ndarray) -> float:
        """How far predictions (n, t) have moved."""

    @abstractmethod
    def moved_text(self, moved: float) -> str:
        """That in words."""

    def placeholder(self, count: int) -> np.ndarray:
        """(count, t) float32 values that every check of predictions passes."""
        return np.full((count, len(self.targets)), 1 / len(self.targets), np.float32)


class Regression(Resolved):
    """Numbers, one a target: compared as the head encodes them, standardised by the training split."""

    kind = "regression"
    written = "regression"
    usual_loss = "Mse()"
    usual_truth = "activity"
    fewest_views = 3

    @classmethod
    def check_head(cls, head: Head) -> None:
        """All heads do."""

    @staticmethod
    def stored(samples: Samples) -> np.ndarray | None:
        """(n, t) float32: the samples' own truth of this kind."""
        return samples.target

    @staticmethod
    def names(opened: Opened) -> tuple[str, ...]:
        return opened.targets

    @staticmethod
    def names_in(column: str, values: np.ndarray, where: str) -> tuple[str, ...]:
        """The names of a column's targets. Raises UserError for cells that are no finite numbers."""
        _numbers(values, where)
        return (column,)

    def truth(self, samples: Samples) -> np.ndarray | None:
        if self.of == Regression.usual_truth:
            return samples.target
        return _numbers(np.asarray(samples.columns[self.of]), f"column {self.of!r}")

    def constants(self, truth: np.ndarray, standardize: bool) -> tree.Flat:
        """{target_mean, target_scale}: (t,) float32 of the training split's (n, t). A constant target has scale 1."""
        mean, scale = np.zeros(truth.shape[1]), np.ones(truth.shape[1])
        if standardize:
            blocks = [truth[:, start : start + _TARGETS] for start in range(0, truth.shape[1], _TARGETS)]
            mean = np.concatenate([block.mean(0, dtype=np.float64) for block in blocks])
            scale = np.concatenate([block.std(0, dtype=np.float64) for block in blocks])
            scale = np.where(np.ptp(truth, axis=0) > 0, scale, 1.0)
        found = {"target_mean": mean, "target_scale": scale}
        return {f"{self.prefix}{name}": values.astype(np.float32) for name, values in found.items()}

    def _mean_and_scale(self, constants: tree.Flat) -> tuple[Array, Array]:
        return constants[f"{self.prefix}target_mean"][None], constants[f"{self.prefix}target_scale"][None]

    def compared(self, truth: Float[Array, "b t"], constants: tree.Flat) -> Float[Array, "b t"]:
        return self.encoded(truth, constants)

    def encoded(self, values: Float[Array, "b t"], constants: tree.Flat) -> Float[Array, "b t"]:
        mean, scale = self._mean_and_scale(constants)
        return self.head.encode((values - mean) / scale)

    def in_units(self, outputs: Float[Array, "b t"], constants: tree.Flat) -> Float[Array, "b t"]:
        mean, scale = self._mean_and_scale(constants)
        return self.head.decode(outputs) * scale + mean

    def start(self) -> Sums:
        return RegressionSums.start(len(self.targets))

    nothing = 0.0

    def viewed(self, outputs: Float[Array, "b t"], constants: tree.Flat) -> Float[Array, "b t"]:
        return self.in_units(outputs, constants)

    def add(self, total: Array, values: Array) -> Array:
        return total + values

    def mean(self, total: Array, count: int) -> Array:
        return total / count

    def mean_over_views(self, values: Float[Array, "v b t"]) -> Float[Array, "b t"]:
        return self.mean(values.sum(0), len(values))

    def valid(self, values: Float[Array, "b t"]) -> Float[Array, "b t"]:
        return values

    def disagreement(
        self, values: Float[Array, "v b t"], trained: Float[Array, "b t"], stay: float, constants: tree.Flat
    ) -> Float[Array, " b"]:
        """Variance over views, in standard deviations of the training targets, averaged over targets."""
        _, scale = self._mean_and_scale(constants)
        spread, away = values.var(0), jnp.square(values.mean(0) - trained)
        return ((spread + stay * away) / jnp.square(scale)).mean(1)

    def mean_of(self, members: Iterable[np.ndarray]) -> np.ndarray:
        total, count = _reduced(np.add, (values.astype(np.float64) for values in members))
        return (total / count).astype(np.float32)

    def moved(self, before: np.ndarray, after: np.ndarray) -> float:
        """The root mean square difference in standard deviations over samples, of targets whose predictions vary."""
        deviation = before.std(0, dtype=np.float64)
        varies = deviation > 0
        if not varies.any():
            return 0.0
        return float(np.sqrt(np.square((after - before)[:, varies] / deviation[varies]).mean()))

    def moved_text(self, moved: float) -> str:
        return f"predictions moved by {moved:.3g} of their standard deviation"


class Classification(Resolved):
    """One of several classes; outputs are logits, and the truth the position of a class, -1 for none of them."""

    kind = "classification"
    written = "logits"
    usual_loss = "CrossEntropy()"
    usual_truth = "label"
    fewest_views = 1

    @classmethod
    def check_head(cls, head: Head) -> None:
        if type(head).encode is not Head.encode:
            raise UserError(
                f"head={type(head).__name__}() squashes numbers, but the loss is for classification"
            )

    @staticmethod
    def stored(samples: Samples) -> np.ndarray | None:
        """(n,) int32: the samples' own truth of this kind."""
        return samples.label

    @staticmethod
    def names(opened: Opened) -> tuple[str, ...]:
        return opened.class_names

    @staticmethod
    def names_in(column: str, values: np.ndarray, where: str) -> tuple[str, ...]:
        """The classes in a column, sorted. Raises UserError for one that is of no use as such."""
        classes = tuple(np.unique(values.astype(str)).tolist())
        if len(classes) < 2:
            raise UserError(f"{where}: expected two classes or more, found {examples(classes)}")
        return classes

    def truth(self, samples: Samples) -> np.ndarray | None:
        if self.of == Classification.usual_truth:
            return samples.label
        number = {name: k for k, name in enumerate(self.targets)}
        cells = np.asarray(samples.columns[self.of]).astype(str).tolist()
        return np.array([number.get(cell, -1) for cell in cells], np.int32)

    def constants(self, truth: np.ndarray, standardize: bool) -> tree.Flat:
        return {}

    def compared(self, truth: Array, constants: tree.Flat) -> Array:
        return truth

    def encoded(self, values: Float[Array, "b t"], constants: tree.Flat) -> Float[Array, "b t"]:
        return values

    def in_units(self, outputs: Float[Array, "b t"], constants: tree.Flat) -> Float[Array, "b t"]:
        return outputs

    def start(self) -> Sums:
        return ClassificationSums.start(len(self.targets))

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
        each = (special.log_softmax(logits.astype(np.float64), 1) for logits in members)
        total, count = _reduced(np.logaddexp, each)
        return (total - np.log(count)).astype(np.float32)

    def moved(self, before: np.ndarray, after: np.ndarray) -> float:
        """The share of samples with another first choice."""
        return float((before.argmax(1) != after.argmax(1)).mean())

    def moved_text(self, moved: float) -> str:
        return f"{moved:.1%} of images have another first choice than without"


KINDS: Mapping[Kind, type[Regression] | type[Classification]] = {
    one.kind: one for one in (Regression, Classification)
}


def _reduced(add: Callable[..., np.ndarray], values: Iterable[np.ndarray]) -> tuple[np.ndarray, int]:
    """Their total and number; one at a time is in memory."""
    total, count = np.empty(0), 0
    for count, value in enumerate(values, 1):
        total = value if count == 1 else add(total, value)
    return total, count


def _numbers(values: np.ndarray, where: str) -> np.ndarray:
    """(n, 1) float32. Raises UserError for cells that are no finite numbers."""
    try:
        found = values.astype(np.float64)
    except ValueError as error:
        raise UserError(f"{where}: expected numbers ({error})") from None
    if bad := np.flatnonzero(~np.isfinite(found)).tolist():
        raise UserError(f"{where}: {len(bad)} cells are no finite numbers (rows {examples(bad)})")
    return found.astype(np.float32).reshape(len(found), -1)
