"""Whether a pretext task and the rest of an experiment go together."""

from typing import TYPE_CHECKING, Any

from jaxlab.core.types import UserError
from jaxlab.data.device.augment import Flip
from jaxlab.encode import CachedFeatures
from jaxlab.losses import NTXent
from jaxlab.objectives import Objective
from jaxlab.pretext import PRETEXT, Pretext

if TYPE_CHECKING:
    from jaxlab.experiment.experiment import Experiment


def check_pretext(experiment: "Experiment") -> None:
    """Raises UserError for a task that its objective's readout and loss, or other parts, do not go with."""
    task, goals = experiment.pretext, experiment.goals
    posed = {name: one for name, one in goals.items() if one.of == PRETEXT}
    _check_pairs(goals, task)
    if task is None:
        if posed:
            raise UserError(
                f"objective {min(posed)!r}: of={PRETEXT!r} is what a pretext task makes of images; expected "
                "pretext=Rotation() or another beside it, found None"
            )
        return
    name = type(task).__name__
    _check_alone(experiment, name)
    _check_images(experiment, task)
    if not posed or (len(goals) > 1 and task.views > 1):
        others = ", and no other" if task.views > 1 else ""
        raise UserError(
            f"Experiment.objectives: expected one of={PRETEXT!r} for pretext={name}(){others}, found {', '.join(goals)}"
        )
    for goal, one in posed.items():
        if one.loss.kind != task.kind or one.head.rates:
            usual = "head=Linear(), loss=CrossEntropy()" if task.kind == "classification" else "loss=Mse()"
            raise UserError(
                f"objective {goal!r}: pretext={name}() is for {task.kind}: expected {usual} or another such, found "
                f"head={type(one.head).__name__}(), loss={type(one.loss).__name__}()"
            )


def _check_alone(experiment: "Experiment", name: str) -> None:
    unused: dict[str, Any] = {"data": isinstance(experiment.data, CachedFeatures), "mix": experiment.mix}
    unused |= {"channels": experiment.channels, "inference": not experiment.inference.plain}
    if experiment.model.asks:
        raise UserError(
            f"Experiment: model={type(experiment.model).__name__}(...) reads texts, and pretext={name}() is of images "
            "alone: pretrain its image's network, and give that the run (model.image.pretrained=RUN)"
        )
    if given := [part for part, is_set in unused.items() if is_set]:
        raise UserError(
            f"Experiment: {', '.join(given)} cannot go with pretext={name}(), which sees images as they are, one at a "
            "time and without further channels"
        )


def _check_images(experiment: "Experiment", task: Pretext) -> None:
    """Raises UserError for images and batches of which there is nothing to learn, or the wrong thing."""
    name, training = type(task).__name__, experiment.training
    if task.upright and any(isinstance(part, Flip) and part.vertical for part in experiment.augment):
        raise UserError(
            f"Flip(vertical=True): turns images upside down, where pretext={name}() asks which way up they are: set "
            "vertical=False"
        )
    if task.views == 1:
        return
    if not experiment.augment:
        raise UserError(
            f"augment: pretext={name}() compares views of an image that differ by augmentation alone; expected "
            "augment=(Flip(), Crop(pixels=8), Brightness()) or others, found none"
        )
    if training.batch_size // training.accumulate < 2:
        raise UserError(
            f"training: pretext={name}() tells an image from others of its batch; expected a batch_size of 2 or more "
            f"for each of accumulate={training.accumulate}, found {training.batch_size}"
        )


def check_rivals(task: Pretext | None, count: int) -> None:
    """Raises UserError for a task of several views with `count` validation images of which none has another."""
    if task is not None and task.views > 1 and count < 2:
        raise UserError(
            f"split: pretext={type(task).__name__}() tells an image from others; expected 2 images or more for "
            f"validation, found {count}; give a larger share (split.validation)"
        )


def _check_pairs(goals: "dict[str, Objective]", task: Pretext | None) -> None:
    """A loss of pairs is of a task of two views, and the reverse."""
    views = 1 if task is None else task.views
    for goal, one in goals.items():
        if any(isinstance(part, NTXent) for part in one.loss.parts) != (views > 1):
            raise UserError(
                f"objective {goal!r}: NTXent() needs pretext=Contrast(), and it NTXent(); found pretext="
                f"{f'{type(task).__name__}()' if task else None} with loss={type(one.loss).__name__}()"
            )
