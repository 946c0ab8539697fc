"""Numbers as an objective, one a target."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxlab.core import tree
from jaxlab.core.blocks import Targets, blocks_of, mapped, taken
from jaxlab.core.precision import moments, narrowed, origin, varies
from jaxlab.core.types import Samples, UserError
from jaxlab.data.readers.tables import is_gap
from jaxlab.data.source import LEAVE_OUT, Opened, examples, not_numbers
from jaxlab.heads import Head
from jaxlab.metrics import RegressionSums, Sums, over_targets
from jaxlab.objectives.learnable import check_numbers, constant, gaps, unusual_units
from jaxlab.objectives.resolved import ACTIVITY, Labelled, Resolved, reduced
from jaxlab.objectives.teacher import Teacher
from jaxlab.pretext import PRETEXT
from submit.late import Late

if TYPE_CHECKING:
    from submit import regions
    from submit.scores import by_target as scores
    from submit.scores import pairing
    from submit.scores.by_target import ByTarget
else:
    regions, scores, pairing = map(
        Late, ("submit.regions", "submit.scores.by_target", "submit.scores.pairing")
    )

_COLLAPSED, _SAYS_SOMETHING = 0.01, 0.05  # of the truth's spread; mean correlation
_TARGETS = 512  # whose moments are taken at a time: in float64, all of a whole brain would be gigabytes


class Regression(Resolved):
    """Numbers, one a target: compared as the head encodes them, standardised by the training split."""

    kind = "regression"
    written = "regression"
    usual_loss = "Mse()"
    usual_truth = ACTIVITY
    fewest_views = 3
    certainty = 0.5

    @classmethod
    def check_head(cls, head: Head) -> None:
        """All heads do."""

    @staticmethod
    def stored(samples: Samples) -> Targets | None:
        """(n, t): the samples' own truth of this kind."""
        return samples.target

    @staticmethod
    def names(opened: Opened) -> tuple[str, ...]:
        return opened.targets

    @staticmethod
    def names_in(column: str, values: np.ndarray, where: str, missing: bool = False) -> tuple[str, ...]:
        """The names of a column's targets. Raises UserError for cells that are no finite numbers."""
        _numbers(values, where, missing)
        return (column,)

    def truth(self, samples: Samples) -> Targets | None:
        if self.teacher is not None:
            return self.said_by(self.teacher, samples)
        if self.of == PRETEXT:
            return None
        if self.of == self.usual_truth:
            return samples.target
        return _numbers(np.asarray(samples.columns[self.of]), f"column {self.of!r}", self.missing)

    def said_by(self, teacher: Teacher, samples: Samples) -> np.ndarray:
        return teacher.numbers(samples.ids)

    def _check_rates(self, truth: Targets) -> None:
        if not self.head.rates:
            return
        low = np.concatenate([(block.values < 0).sum(0) for block in blocks_of(truth)])
        if not (below := np.flatnonzero(low).tolist()):
            return
        raise UserError(
            f"objective {self.name!r}: expected rates, 0 or more, of head={type(self.head).__name__}(...), found "
            f"{int(low.sum())} values below 0 in {len(below)} of {truth.shape[1]} targets "
            f"({examples(self.targets[k] for k in below)}): standardised already? Then use the head within, without it"
        )

    def origin_in(self, samples: Samples) -> np.ndarray | None:
        if self.loss.space != "standardised":
            return None  # it compares numbers as they are
        truth = self.truth(samples)
        return None if truth is None else origin(truth)

    def sent(self, truth: Targets) -> Targets:
        def above(columns: slice, values: np.ndarray) -> np.ndarray:
            found = values if self.origin is None else values - self.origin[None, columns]
            return found.astype(np.float32, copy=False)

        return mapped(truth, above)

    def received(self, values: np.ndarray) -> np.ndarray:
        return values if self.origin is None else values + self.origin[None]

    def learnable(
        self, samples: Samples, learn: np.ndarray, standardize: bool, limited: bool = False
    ) -> list[str]:
        truth, loss = self.truth(samples), type(self.loss).__name__
        if truth is None:
            return []
        check_numbers(self.name, truth, samples.ids, self.targets, self.missing)
        self._check_rates(truth)
        if (taught := self.taught_by(samples)) is not None:
            check_numbers(f"{self.name}, distill", taught, samples.ids, self.targets, False)
            self._check_rates(taught)
        notes = constant(self.name, truth, learn, self.targets)
        as_they_are = not (standardize and self.loss.space == "standardised") and not self.head.rates
        if not (self.missing or as_they_are):
            return notes
        own = taken(truth, learn)
        notes += gaps(self.name, own, self.targets) if self.missing else []
        return notes + (unusual_units(self.name, loss, own) if as_they_are else [])

    def constants(self, truth: Targets, standardize: bool) -> tree.Flat:
        """{target_mean, target_scale}: (t,) float32 of the training split's (n, t). A constant target has scale 1.

        They are 0 and 1 where the loss compares the targets' own units, of a head of rates 0 and each target's mean.
        """
        mean, scale = np.zeros(truth.shape[1]), np.ones(truth.shape[1])
        if standardize and self.loss.space == "standardised":
            mean, scale, size = _moments(truth, self.missing)
            scale = np.where(varies(scale, size, truth.dtype), scale, 1.0)
        elif self.head.rates:
            means, _, _ = _moments(truth, self.missing)
            scale = np.where(means > 0, means, 1.0)
        found = {"target_mean": mean, "target_scale": scale}
        return {f"{self.prefix}{name}": values.astype(np.float32) for name, values in found.items()}

    def _mean_and_scale(self, constants: tree.Flat) -> tuple[Array, Array]:
        return constants[f"{self.prefix}target_mean"][None], constants[f"{self.prefix}target_scale"][None]

    def known(self, truth: Float[Array, "b t"]) -> Bool[Array, "b t"] | None:
        return ~jnp.isnan(truth) if self.missing else None

    def compared(self, truth: Float[Array, "b t"], constants: tree.Flat) -> Float[Array, "b t"]:
        if self.missing:
            truth = jnp.where(jnp.isnan(truth), self._mean_and_scale(constants)[0], truth)
        return truth if self.head.rates else self.encoded(truth, constants)

    def entering(self, outputs: Float[Array, "b t"], constants: tree.Flat) -> Float[Array, "b t"]:
        return self.in_units(outputs, constants) if self.head.rates else outputs

    def encoded(self, values: Float[Array, "b t"], constants: tree.Flat) -> Float[Array, "b t"]:
        mean, scale = self._mean_and_scale(constants)
        return self.head.encode((values - mean) / scale)

    def in_units(self, outputs: Float[Array, "b t"], constants: tree.Flat) -> Float[Array, "b t"]:
        mean, scale = self._mean_and_scale(constants)
        return self.head.decode(outputs) * scale + mean

    def collapsed(self, sums: Sums) -> str | None:
        """Where predictions spread a hundredth as far as the truth, and what they spread says nothing of it."""
        assert isinstance(sums, RegressionSums)
        each = jax.device_get(sums).per_target()
        spread = over_targets.of_known(each["spread_ratio"], np.median)
        if not spread < _COLLAPSED or over_targets.mean(each["pearson"]) > _SAYS_SOMETHING:
            return None
        return (
            f"predictions hardly differ between validation samples: their standard deviation is {spread:.2g} of the "
            "truth's, median over targets"
        )

    def start(self) -> Sums:
        return RegressionSums.start(len(self.targets), self.missing, self.terms)

    def breakdown(self, labelled: Labelled, opened: Opened) -> "ByTarget":
        rows, truth = labelled.rows, self.truth(opened.train)
        if truth is None:
            raise UserError(f"the data have no {self.of} to compare predictions with")
        targets, place = np.array(self.targets), np.arange(len(rows))
        known = opened.rois if self.of == ACTIVITY else {}
        named = {name: mask for name, mask in known.items() if mask.any()} or regions.hemispheres(targets)
        ids, column = opened.train.ids[rows], np.arange(len(targets))
        pair = pairing.PairedNumbers(ids, targets, labelled.values, truth[rows], place, column)
        return scores.by_target(pair, self.ceiling(opened), named, self.missing)

    def presented(self, values: np.ndarray, form: str | None) -> np.ndarray:
        if form is not None:
            raise UserError(
                f"as_={form!r}: is for classes, but {self.name} predicts numbers ({examples(self.targets)})"
            )
        return values

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
        return reduced(members, lambda values: values, np.add, np.divide, self.dtype)

    def moved(self, before: np.ndarray, after: np.ndarray) -> float:
        """The root mean square difference in standard deviations over samples, of targets whose predictions vary."""
        deviation = before.std(0, dtype=np.float64)
        varies = deviation > 0
        if not varies.any():
            return 0.0
        return float(np.sqrt(np.square((after - before)[:, varies] / deviation[varies]).mean()))

    def moved_text(self, moved: float) -> str:
        return f"predictions moved by {moved:.3g} of their standard deviation"


def _moments(truth: Targets, missing: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(t,) float64 means and standard deviations of (n, t), and largest sizes."""
    each = [_moments_of(block.values, missing) for block in blocks_of(truth)]
    return tuple(np.concatenate(values) for values in zip(*each, strict=True))  # type: ignore[return-value]


def _moments_of(truth: np.ndarray, missing: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of an array."""
    blocks = [truth[:, start : start + _TARGETS] for start in range(0, truth.shape[1], _TARGETS)]
    if missing:
        parts = [moments(block.astype(np.float64)) for block in blocks]
        return tuple(np.concatenate(values) for values in zip(*parts, strict=True))  # type: ignore[return-value]
    mean = np.concatenate([block.mean(0, dtype=np.float64) for block in blocks])
    scale = np.concatenate([block.std(0, dtype=np.float64) for block in blocks])
    return mean, scale, np.maximum(np.abs(truth.min(0)), np.abs(truth.max(0)))


def _numbers(values: np.ndarray, where: str, missing: bool = False) -> np.ndarray:
    """(n, 1) float32, or (`narrowed`) float64. Raises UserError for cells that are no finite numbers.

    missing: whether cells that say that there is no number are NaN.
    """
    if missing and values.dtype.kind in "UO":
        values = np.where(is_gap(values.astype(str)), "nan", values.astype(str))
    try:
        found = values.astype(np.float64)
    except ValueError as error:
        raise UserError(f"{where}: expected numbers ({error})") from None
    if bad := np.flatnonzero(not_numbers(found, missing)).tolist():
        raise UserError(
            f"{where}: {len(bad)} cells are no finite numbers (rows {examples(bad)}); {LEAVE_OUT}"
        )
    return narrowed(found.reshape(len(found), -1))
