"""What a person writes: an experiment, its objectives, and studies of it."""

from jaxlab.experiment.ablation import Ablation
from jaxlab.experiment.experiment import Experiment, Training
from jaxlab.experiment.folds import Folds
from jaxlab.experiment.overfit import overfitting
from jaxlab.experiment.search import Search
from jaxlab.experiment.seeds import Seeds
from jaxlab.experiment.spaces import Choice, Int, Log, Space, Uniform
from jaxlab.experiment.study import Study
from jaxlab.objectives import Objective, Teacher

__all__ = [
    "Ablation",
    "Choice",
    "Experiment",
    "Folds",
    "Int",
    "Log",
    "Objective",
    "Search",
    "Seeds",
    "Space",
    "Study",
    "Teacher",
    "Training",
    "Uniform",
    "overfitting",
]
