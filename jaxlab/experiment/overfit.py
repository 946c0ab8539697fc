"""An experiment made to learn a few batches by heart: what a network that can learn at all must manage."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from jaxlab.core.config import LATER, Component
from jaxlab.core.types import Samples, UserError
from jaxlab.data.split import Positions, RandomSplit, Split
from jaxlab.experiment.experiment import Experiment
from jaxlab.experiment.parts import parts_on
from jaxlab.experiment.study import innermost
from jaxlab.experiment.switched import switched
from jaxlab.optim import Constant

# What keeps a network from learning by heart, or is of no use there.
OFF = (
    "augment",
    "balance",
    "mix",
    "ema",
    "average",
    "sam",
    "decay",
    "dropout",
    "label_smoothing",
    "class_weights",
)


@dataclass(frozen=True, kw_only=True)
class _LearnedAgain(Split):
    """The training samples of another split, to learn from and to validate on.

    of: that split. known: whether samples of no class are left out.
    """

    of: Split = RandomSplit()
    known: bool = field(default=True, metadata=LATER)

    def split(self, samples: Samples) -> Positions:
        learn, _ = self.of.split(samples)
        if samples.label is not None and self.known:
            learn = learn[np.asarray(samples.label)[learn] >= 0]
        return learn, learn


def overfitting(config: Component, batches: int, epochs: int) -> Experiment:
    """The experiment of a config on `batches` batches, validated on the same, without what keeps from overfitting.

    Augmentation, balance, mixing, dropout, decay, smoothed labels, class weights, averaged parameters and SAM are off,
    and after its warm-up the rate is constant: a schedule of the whole run's epochs would be over in a few updates. The
    network, its weights, the loss, the optimizer and its clipping stay.
    Raises UserError for a config that trains no network.
    """
    inner = innermost(config)
    if not isinstance(inner, Experiment):
        raise UserError(
            f"overfit: expected an Experiment(...), or a study of one, found {type(inner).__name__}(...), which is not "
            "trained in epochs"
        )
    if inner.pretext is not None:
        raise UserError(
            f"overfit: compares predictions with the data's truth, but pretext={type(inner.pretext).__name__}() makes "
            "its own anew in each step; train on a few images instead (jaxlab train CONFIG --set limit=64)"
        )
    on: Any = inner
    for part, settings in parts_on(inner).items():
        on = switched(on, settings) if part in OFF else on
    training = replace(
        on.training,
        epochs=float(epochs),
        steps=None,
        metric="loss",
        early_stopping=None,
        early_stopping_metric=None,
        checkpoint_steps=None,
        keep_every=None,
        validate="here",  # by which it is judged
    )
    schedule = on.optimizer.schedule
    constant = Constant(warmup_epochs=schedule.warmup_epochs, warmup_steps=schedule.warmup_steps)
    optimizer = replace(on.optimizer, schedule=constant)
    again = _LearnedAgain(of=on.split, known=on.leaves_out_unknown)
    split = on.split if isinstance(on.split, _LearnedAgain) else again
    return replace(
        on, split=split, optimizer=optimizer, training=training, limit=batches * training.batch_size
    )


def is_overfitting(config: Component) -> bool:
    """Whether `overfitting` made it."""
    return isinstance(getattr(config, "split", None), _LearnedAgain)
