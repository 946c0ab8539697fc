"""What a person writes: an experiment, and the folds of one."""

from jaxlab.experiment.experiment import Experiment, Training
from jaxlab.experiment.folds import Folds

__all__ = ["Experiment", "Folds", "Training"]
