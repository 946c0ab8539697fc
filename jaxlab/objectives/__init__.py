"""What a network learns to predict: a head, a loss, and the truth that it is compared with."""

from jaxlab.objectives.classification import Classification
from jaxlab.objectives.objective import KINDS, Objective, resolved, targets_of
from jaxlab.objectives.regression import Regression
from jaxlab.objectives.resolved import Labelled, Resolved, Told
from jaxlab.objectives.teacher import Teacher

__all__ = [
    "KINDS",
    "Classification",
    "Labelled",
    "Objective",
    "Regression",
    "Resolved",
    "Teacher",
    "Told",
    "resolved",
    "targets_of",
]
