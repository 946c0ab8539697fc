"""What to try where a network does not learn a few batches by heart, in order: what was seen first, then the usual."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from jaxlab.core.words import counted
from jaxlab.experiment import Experiment
from jaxlab.runs.overfit.varying import varying
from jaxlab.training import journal
from jaxlab.training.rundir import RunDirectory

if TYPE_CHECKING:
    from jaxlab.runs.overfit.overfit import Learned

Behaviour = Literal["broke off", "rises", "swings", "falls", "flat"]
_FEW = 8  # updates from which on a course can be told


def tries(
    experiment: Experiment, path: Path, learned: "Mapping[str, Learned]", below: float
) -> Iterator[str]:
    """Lines, first things first. learned: {} where the loss became infinite."""
    rundir = RunDirectory(path)
    steps = journal.read(rundir.metrics, "step")
    yield from _of_data(learned)
    yield from _of_frozen(rundir)
    if any(_is_known_only_in_training(rundir, one.loss, below) for one in learned.values()):
        yield (
            "it learns, but does not know it in evaluation: batch norm's running statistics lag behind. More updates "
            "(--epochs 200), a larger training.batch_size, or another norm"
        )
    yield from _of_course(experiment, behaviour([_or_infinite(one.get("loss")) for one in steps]))
    yield from _of_network(experiment, learned)


def _or_infinite(value: float | None) -> float:
    return float("inf") if value is None else value


def behaviour(losses: list[float]) -> Behaviour:
    """How a loss went, by update: its last quarter beside its first, and how much it jumps from one to the next."""
    if not np.isfinite(losses).all() or not losses:
        return "broke off"
    if len(losses) < _FEW:
        return "falls"
    quarter = len(losses) // 4
    first, last = np.array(losses[:quarter]), np.array(losses[-quarter:])
    scale = max(abs(first.mean()), 1e-12)
    if last.mean() > first.mean() + 0.1 * scale:
        return "rises"
    trend = np.polyval(np.polyfit(np.arange(quarter), last, 1), np.arange(quarter)) if quarter > 1 else last
    if np.std(last - trend) > 0.2 * max(abs(last.mean()), 1e-12):
        return "swings"
    return "falls" if last.mean() < first.mean() - 0.1 * scale else "flat"


def _of_course(experiment: Experiment, course: Behaviour) -> Iterator[str]:
    """Rate, clipping and length."""
    optimizer = experiment.optimizer
    lower, higher = (f"--set optimizer.lr={optimizer.lr * factor:.3g}" for factor in (0.1, 10))
    if course in ("broke off", "rises", "swings"):
        yield f"the loss {course}: the rate is too high. {lower}"
        if optimizer.clip_norm is None:
            yield "bound the gradient: --set optimizer.clip_norm=1.0"
        if not optimizer.schedule.warmup_epochs:
            yield "let the rate rise: --set optimizer.schedule.warmup_epochs=5.0"
        if experiment.training.dtype != "float32":
            yield "more digits: --set training.dtype=float32"
        return
    if course == "falls":
        yield f"the loss falls, but slowly: a higher rate, {higher}, or more updates, --epochs 200"
    else:
        yield f"the loss hardly moves: the rate is too low, {higher}, or far too high, {lower}"
    if optimizer.clip_norm is not None or optimizer.clip_value is not None:
        yield "clipped gradients may be small ones: --set optimizer.clip_norm=none --set optimizer.clip_value=none"
    if experiment.optimizer.schedule.warmup_epochs:
        yield "warm-up takes updates: --set optimizer.schedule.warmup_epochs=0.0"


def _of_data(learned: "Mapping[str, Learned]") -> Iterator[str]:
    """Targets that cannot be learned, or need not."""
    for name, one in learned.items():
        if one.truth.ndim == 1:
            if len(np.unique(one.truth[one.truth >= 0])) < 2:
                yield f"{name}: all samples are of one class; give more --batches"
            continue
        constant = int((~np.isnan(one.truth).all(0) & ~varying(one.truth)).sum())
        if constant:
            yield f"{name}: {constant:,} of {counted(one.truth.shape[1], 'target')} constant here: leave such out"
        large = np.nanmax(np.abs(one.truth), initial=0.0)
        if large > 1e4:
            yield f"{name}: targets reach {large:.3g}; training.standardize, or other units"


def _of_frozen(rundir: RunDirectory) -> Iterator[str]:
    """Layers that do not train."""
    table: list[dict[str, Any]] = rundir.info().get("finetune") or []
    late = [row for row in table if row["trains"] == "no" or row["after_epoch"]]
    if late:
        names = ", ".join(row["layer"] for row in late[:3]) + (", ..." if len(late) > 3 else "")
        yield f"layers that do not train, or not from the start ({names}): loosen the rules of finetune"


def _is_known_only_in_training(rundir: RunDirectory, loss: float, below: float) -> bool:
    """Whether the last epoch, as the network learned, was far better than it is in evaluation mode."""
    train = journal.read(rundir.metrics, "train")
    validation = journal.read(rundir.metrics, "validation")
    if not train or not validation or loss < below:
        return False
    one, other = train[-1].get("loss"), validation[-1].get("loss")
    return one is not None and other is not None and one < below and other > 3 * one


def _of_network(experiment: Experiment, learned: "Mapping[str, Learned]") -> Iterator[str]:
    """Capacity, input and truth."""
    yield "more capacity: a deeper or wider model, a readout of a later layer, or of more of them"
    yield "look at the input: `jaxlab data audit CONFIG` shows images, levels, duplicates, labels that disagree"
    if any(one.truth.ndim == 1 for one in learned.values()):
        yield "labels that contradict one another cannot be learned by heart: near duplicates with different classes"
    if experiment.training.accumulate > 1:
        yield "batch norm sees a part of a batch alone: --set training.accumulate=1"
