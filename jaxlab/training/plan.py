"""What the training loop goes by: how long it trains and what it does when, and how far it has come."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from submit.metrics.table import Score, score_of

_INSTEAD = "loss"  # what checkpoints are compared by where the metric is undefined


@dataclass
class Progress:
    """What the loop knows besides the state; saved with each checkpoint.

    best: {"metric", "value", "step", "epoch"} of the best validation so far, or None. stale: epochs since early
    stopping's score was best. plateau: epochs since the plateau's was, or since the last drop of the learning rate.
    marks: the best values so far of these two, where they are others than the metric.

    An epoch of which a score is undefined (NaN: one validation sample, or targets that are constant there) says nothing
    of whether the network improves, and is not counted by what watches that score. As long as there is no other, the
    best is the one of the lowest loss.
    """

    best: dict[str, Any] | None = None
    stale: int = 0
    plateau: int = 0
    marks: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`; what a later version keeps besides is left out."""
        return cls(**{one.name: record[one.name] for one in fields(cls) if one.name in record})

    def update(
        self,
        metric: str,
        scores: Mapping[str, float],
        step: int,
        epoch: int,
        stop_metric: str | None = None,
        plateau_metric: str | None = None,
    ) -> bool:
        """Take in an epoch's validation; True where it is the best so far (of NaN it never is).

        stop_metric, plateau_metric: what early stopping and a plateau watch; default the metric.
        """
        best = self._chosen(metric, scores, step, epoch)
        better = {metric: None if undefined(metric, scores) else best}
        watching = (stop_metric or metric, plateau_metric or metric)
        for name in dict.fromkeys(watching):
            if name != metric:
                better[name] = None if undefined(name, scores) else self._marked(name, scores[name])
        self.stale = _waited(self.stale, better[watching[0]])
        self.plateau = _waited(self.plateau, better[watching[1]])
        return best

    def _chosen(self, metric: str, scores: Mapping[str, float], step: int, epoch: int) -> bool:
        """Whether this is the best epoch; where the metric has never been defined, the one of the lowest loss."""
        if not undefined(metric, scores):
            return self._take(metric, scores[metric], step, epoch)
        if self.best is None or self.best["metric"] == _INSTEAD:
            return self._take(_INSTEAD, scores.get(_INSTEAD, math.nan), step, epoch)
        return False

    def _marked(self, name: str, value: float) -> bool:
        """Whether `value` is better than any before of a score that is no metric; then it is the mark."""
        better = validation_score(name).improves(value, self.marks.get(name))
        if better:
            self.marks[name] = value
        return better

    def _take(self, metric: str, value: float, step: int, epoch: int) -> bool:
        """Whether `value` is better than what is known of this metric; then it is the best."""
        before = self.best["value"] if self.best is not None and self.best["metric"] == metric else None
        better = validation_score(metric).improves(value, before)
        if better:
            self.best = {"metric": metric, "value": value, "step": step, "epoch": epoch}
        return better

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def _waited(epochs: int, better: bool | None) -> int:
    """Epochs without a better score, after one more; None: the score was undefined, and the epoch does not count."""
    return epochs if better is None else 0 if better else epochs + 1


def undefined(metric: str, scores: Mapping[str, float]) -> bool:
    """Whether the metric has no value, so that nothing may be chosen by it. A loss that is NaN is a bad one."""
    return metric != _INSTEAD and math.isnan(scores[metric])


def validation_score(metric: str) -> Score:
    """What is known of a validation score, `name` or `objective/name`."""
    return score_of(metric.rpartition("/")[2])


@dataclass(frozen=True)
class Plan:
    """How long to train and what to do when.

    metric: the validation score that picks the best checkpoint. patience: epochs without improvement before the
    run stops. plateau: (factor, epochs without improvement before the learning rate is multiplied by it).
    stop_metric, plateau_metric: the scores that these two wait for; default the metric.
    checkpoint_steps: checkpoints between the epochs' ends, every so many steps.
    average_from: updates before those whose parameters are averaged for evaluation.
    elsewhere: whether another process validates the checkpoints.
    """

    steps: int
    steps_per_epoch: int
    metric: str
    patience: int | None = None
    plateau: tuple[float, int] | None = None
    checkpoint_steps: int | None = None
    average_from: int | None = None
    stop_metric: str | None = None
    plateau_metric: str | None = None
    elsewhere: bool = False

    @property
    def watched(self) -> tuple[str, ...]:
        """The validation scores that something depends on, the metric first."""
        stops = self.stop_metric if self.patience is not None else None
        drops = self.plateau_metric if self.plateau is not None else None
        return tuple(dict.fromkeys(name for name in (self.metric, stops, drops) if name is not None))

    def epoch(self, step: int) -> int:
        """The epoch, from 1, that the update number `step` (from 1) belongs to."""
        return max(step - 1, 0) // self.steps_per_epoch + 1

    def ends_epoch(self, step: int) -> bool:
        return step % self.steps_per_epoch == 0 or step == self.steps

    def saves(self, step: int) -> bool:
        return self.ends_epoch(step) or (
            self.checkpoint_steps is not None and step % self.checkpoint_steps == 0
        )

    def averages(self, step: int) -> bool:
        """Whether evaluation uses a mean of several updates' parameters after update number `step`."""
        return self.average_from is not None and step > self.average_from + 1

    def gives_up(self, progress: Progress) -> bool:
        """Whether what early stopping watches has not improved for so long that the run stops."""
        return self.patience is not None and progress.stale >= self.patience
