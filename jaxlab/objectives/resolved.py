"""Objectives with the data's names: what regression and classification have in common, and where they differ.

Each owns its truth, what the loss compares, its sums and scores, and how several predictions become one. Arrays in,
arrays out; everything is static, so that a compiled step holds it.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxlab.core import tree
from jaxlab.core.blocks import Targets
from jaxlab.core.subjects import SEPARATOR
from jaxlab.core.types import Kind, Samples, UserError
from jaxlab.data.source import Opened
from jaxlab.heads import Head
from jaxlab.losses import END, About, Loss, Ramp, Total, Weight, weight_at
from jaxlab.metrics import Sums
from jaxlab.objectives.teacher import Teacher
from submit.late import Late

if TYPE_CHECKING:
    from submit.metrics import table
    from submit.scores.by_class import ByClass
    from submit.scores.by_target import ByTarget
else:
    table = Late("submit.metrics.table")

ACTIVITY = "activity"  # the truth that is the data's targets
_TRUTH, _TEACHER = "truth", "teacher"  # the terms of an objective that learns from both
_ROWS = 256  # of members of an ensemble taken to float64 at a time: of large sets of questions, all would be gigabytes
SHARE = "class_share"  # the constant that losses with `needs_shares` are told


class Told(NamedTuple):
    """What an objective's loss says of a batch: a value a row, and {term: a value a row} of what it adds up."""

    loss: Float[Array, " b"]
    terms: dict[str, Float[Array, " b"]]


class Labelled(NamedTuple):
    """Predictions (n, t) of the labelled samples at `rows` (n,) of the data; logits of classes.

    split: "train", "validation" or "out_of_fold". untrained: whether they are those of the network before training.
    """

    split: str
    rows: np.ndarray
    values: np.ndarray
    untrained: bool = False


@dataclass(frozen=True, eq=False)
class Resolved(ABC):
    """One objective of a network.

    name: in the experiment. of: "activity", "label", a column, or "teacher" of a `teacher`'s predictions.
    targets: names of its outputs, or of classes.
    weight, learned: as `Objective` has them.
    first: the first of its columns among the network's outputs. prefix: of its constants; "" of a sole objective.
    origin: (t,) float64, above which truth and predictions are taken on the devices, whose float32 would lose them
        beside it (`core.precision`); None where nothing is lost.
    missing: whether some of the truth may be NaN, which is left out of loss and scores.
    answer_types: where several people answered each question, the types of answers that are scored alone.
    distill, distill_share: as `Objective` has them.
    """

    kind: ClassVar[Kind]
    written: ClassVar[Literal["regression", "logits"]]  # the kind of `submit.Predictions`
    usual_loss: ClassVar[str]
    usual_truth: ClassVar[str]
    fewest_views: ClassVar[int]  # from which on their agreement moves the mean
    certainty: ClassVar[
        float
    ]  # its learned weight where the variance is 1 (Kendall et al. 2018, eq. 7 and 10)

    name: str
    of: str
    head: Head
    loss: Loss
    targets: tuple[str, ...]
    weight: Weight = 1.0
    learned: bool = False
    first: int = 0
    prefix: str = ""
    origin: np.ndarray | None = None
    missing: bool = False
    answer_types: tuple[str, ...] | None = None
    teacher: Teacher | None = None
    distill: Teacher | None = None
    distill_share: Weight = 0.5

    @property
    def by_subject(self) -> bool:
        """Whether each target is one subject's own, as in pooled data; a column's, or its classes, are everybody's."""
        return (self.of == ACTIVITY or self.teacher is not None) and all(
            SEPARATOR in name for name in self.targets
        )

    @property
    def largest_weight(self) -> float:
        """The number that its weight is, starts from where it is learned, or reaches on a ramp."""
        return max(self.weight.start, self.weight.end) if isinstance(self.weight, Ramp) else self.weight

    @property
    def first_log_variance(self) -> float:
        """s, of which a learned weight is certainty * exp(-s), where that is the weight given."""
        return math.log(self.certainty / self.largest_weight)

    def weight_at(self, epoch: Float[Array, ""] | float, log_variance: Float[Array, ""] | None = None) -> Any:
        """What its loss counts after so many epochs; of a learned one, where the logarithm of its variance is known."""
        if log_variance is not None:
            return self.certainty * jnp.exp(-log_variance)
        return weight_at(self.weight, epoch)

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
        last = self.first + len(self.targets)
        return outputs if outputs.shape[1] == len(self.targets) else outputs[:, self.first : last]

    def losses(
        self,
        outputs: Float[Array, "b t"],
        truth: Array,
        constants: tree.Flat,
        total: Total,
        epoch: Float[Array, ""] | float = END,
        taught: Array | None = None,
        **across: Any,
    ) -> Told:
        """One a row; `outputs` are its own, truth in its own units. total, epoch: as losses are told `About` them.

        across: gather, first and mask, likewise. taught: what `distill` says, as `taught_by` gives it.
        Raises UserError for a loss that gives something else.
        """
        about = About(total, epoch, constants.get(f"{self.prefix}{SHARE}"), self.known(truth), **across)
        found = self._told(outputs, truth, constants, about, self.teacher)
        if self.distill is None or taught is None:
            return found
        learned = self._told(outputs, taught, constants, replace(about, known=None), self.distill).loss
        share = weight_at(self.distill_share, epoch)
        terms = {**found.terms, _TRUTH: found.loss, _TEACHER: learned}
        return Told((1 - share) * found.loss + share * learned, terms)

    def _told(
        self,
        outputs: Float[Array, "b t"],
        truth: Array,
        constants: tree.Flat,
        about: About,
        teacher: Teacher | None,
    ) -> Told:
        """By one truth, that of the data or of a teacher."""
        temperature = 1.0 if teacher is None else teacher.temperature
        entering = self.entering(outputs, constants)
        if temperature != 1:
            entering = entering / temperature
        rows, terms = self.loss.told(entering, self.compared(truth, constants), about)
        if np.shape(rows) != outputs.shape[:1]:
            raise UserError(
                f"{type(self.loss).__name__}: expected one value a row, {outputs.shape[:1]}, from outputs "
                f"{outputs.shape}, found {np.shape(rows)}; means over rows are taken elsewhere, so that a loss takes "
                "its own over targets alone, as with .mean(-1). One of the whole batch at once is a BatchLoss"
            )
        found = Told(rows, {name: jnp.broadcast_to(term, rows.shape) for name, term in terms.items()})
        if temperature == 1:
            return found
        scaled: Told = jax.tree.map(lambda values: values * temperature**2, found)
        return scaled

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of what its loss adds up, as records have them."""
        return self.loss.terms if self.distill is None else (*self.loss.terms, _TRUTH, _TEACHER)

    def changing(self, epoch: Float[Array, ""] | float) -> dict[str, Array]:
        """{term: its weight} after so many epochs, of those whose weights change."""
        found = self.loss.changing(epoch)
        if isinstance(self.distill_share, Ramp):
            found = {**found, _TEACHER: self.distill_share.at(epoch)}
        return found

    @property
    def taught_name(self) -> str:
        """Of what `distill` says, among the truth of batches; no objective has such a name."""
        return f"{self.name}.teacher"

    def taught_by(self, samples: Samples) -> np.ndarray | None:
        """What `distill` says of all samples, in the order of its own targets; None where there is no such."""
        if self.distill is None:
            return None
        return self.said_by(self.distill, samples)[:, self.distill.columns(self.targets, self.kind)]

    @abstractmethod
    def said_by(self, teacher: Teacher, samples: Samples) -> np.ndarray:
        """(n, t) what a teacher says of all samples."""

    def known(self, truth: Array) -> Bool[Array, "b t"] | None:
        """Where truth is known; None: everywhere."""
        return None

    @abstractmethod
    def truth(self, samples: Samples) -> Targets | None:
        """Of all samples; None where they have none."""

    @property
    def dtype(self) -> type[np.floating]:
        """Of its predictions on the host."""
        return np.float32 if self.origin is None else np.float64

    def origin_in(self, samples: Samples) -> np.ndarray | None:
        """The `origin` that the truth of the labelled samples needs."""
        return None

    def sent(self, truth: Targets) -> Targets:
        """The truth as batches carry it."""
        return truth

    def received(self, values: np.ndarray) -> np.ndarray:
        """(n, t) predictions off the devices, in the targets' own units: the inverse."""
        return values

    def scored(self, truth: Any) -> Any:
        """The truth of a batch, or an array on the host, as scores take it."""
        return truth

    def single(self, truth: Any) -> Any:
        """A number a target, or a class, of each sample: what predictions are shown beside."""
        return self.scored(truth)

    @abstractmethod
    def learnable(
        self, samples: Samples, learn: np.ndarray, standardize: bool, limited: bool = False
    ) -> list[str]:
        """Lines on what training on the samples at `learn` should be told of. limited: they are part of the split.

        Raises UserError where they cannot be learned from.
        """

    @abstractmethod
    def constants(self, truth: Any, standardize: bool) -> tree.Flat:
        """What the training split's truth gives the network."""

    @abstractmethod
    def compared(self, truth: Array, constants: tree.Flat) -> Array:
        """The truth as the loss compares it with outputs."""

    def entering(self, outputs: Float[Array, "b t"], constants: tree.Flat) -> Float[Array, "b t"]:
        """The outputs as the loss takes them."""
        return outputs

    @abstractmethod
    def encoded(self, values: Float[Array, "b t"], constants: tree.Flat) -> Float[Array, "b t"]:
        """Predictions as outputs: the inverse of `in_units`."""

    @abstractmethod
    def in_units(self, outputs: Float[Array, "b t"], constants: tree.Flat) -> Float[Array, "b t"]:
        """Outputs as predictions: in the targets' own units, or logits."""

    @abstractmethod
    def start(self) -> Sums:
        """Empty sums."""

    def ceiling(self, opened: Opened) -> np.ndarray | None:
        """(t,) share of its targets' variance that is signal; known of the data's targets alone."""
        return opened.ceiling if self.of == ACTIVITY else None

    def scores(self, sums: Sums, ceiling: np.ndarray | None) -> dict[str, float]:
        """What sums come to. ceiling: (t,), of the data's targets; plays no part elsewhere."""
        return sums.compute(ceiling if self.of == ACTIVITY else None)

    def collapsed(self, sums: Sums) -> str | None:
        """In words, that predictions are the same for all validation samples, which themselves differ."""
        return None

    @abstractmethod
    def breakdown(self, labelled: Labelled, opened: Opened) -> "ByTarget | ByClass":
        """Scores of each of its targets, by region, or of each class. Raises UserError where there is no truth."""

    @abstractmethod
    def presented(self, values: np.ndarray, form: str | None) -> np.ndarray:
        """Predictions (n, t) in another form: classes as "probabilities", "labels" (n,) or "logits". None: as they are.

        Raises UserError for a form that it has not.
        """

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
        """(n, t) of `dtype`: the mean of networks' predictions, on the host; of classes as logits."""

    @abstractmethod
    def moved(self, before: np.ndarray, after: np.ndarray) -> float:
        """How far predictions (n, t) have moved."""

    @abstractmethod
    def moved_text(self, moved: float) -> str:
        """That in words."""

    def placeholder(self, count: int) -> np.ndarray:
        """(count, t) float32 values that every check of predictions passes."""
        return np.full((count, len(self.targets)), 1 / len(self.targets), np.float32)


def reduced(
    members: Iterable[np.ndarray],
    entering: Callable[[np.ndarray], np.ndarray],
    add: Callable[..., np.ndarray],
    leaving: Callable[[np.ndarray, int], np.ndarray],
    dtype: type[np.floating],
) -> np.ndarray:
    """(n, t) of `dtype`: `leaving` of what `add` makes of each one's `entering`, in float64, and of their number.

    All three are of some rows at a time: beside the total, one member is in memory.
    """
    total, count = np.empty((0, 0)), 0
    for count, member in enumerate(members, 1):
        total = np.empty(member.shape) if count == 1 else total
        for rows in _slices(len(member)):
            values = entering(member[rows].astype(np.float64))
            total[rows] = values if count == 1 else add(total[rows], values)
    found = np.empty(total.shape, dtype)
    for rows in _slices(len(total)):
        found[rows] = leaving(total[rows], count)
    return found


def _slices(count: int) -> Iterator[slice]:
    return (slice(start, start + _ROWS) for start in range(0, count, _ROWS))
