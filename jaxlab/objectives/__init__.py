"""What a network learns to predict: a head, a loss, and the truth that it is compared with."""

from jaxlab.objectives.answers import COLUMN as ANSWERS
from jaxlab.objectives.answers import Answers, answer_types_of
from jaxlab.objectives.classification import Classification
from jaxlab.objectives.objective import KINDS, Objective, resolved, targets_of
from jaxlab.objectives.regression import Regression
from jaxlab.objectives.resolved import Labelled, Resolved, Told
from jaxlab.objectives.teacher import Teacher

__all__ = [
    "ANSWERS",
    "KINDS",
    "Answers",
    "Classification",
    "Labelled",
    "Objective",
    "Regression",
    "Resolved",
    "Teacher",
    "Told",
    "answer_types_of",
    "resolved",
    "targets_of",
]
