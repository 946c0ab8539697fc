"""Optimizers, learning-rate schedules and fine-tuning."""

from jaxlab.optim.finetune import FineTune, Freeze, Rate
from jaxlab.optim.groups import Groups
from jaxlab.optim.optimizers import SGD, Adam, AdamW, Optimizer, undecayed
from jaxlab.optim.schedules import Constant, Cosine, Exponential, OneCycle, Plateau, Schedule, Step
from jaxlab.optim.tuning import Tuning

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Constant",
    "Cosine",
    "Exponential",
    "FineTune",
    "Freeze",
    "Groups",
    "OneCycle",
    "Optimizer",
    "Plateau",
    "Rate",
    "Schedule",
    "Step",
    "Tuning",
    "undecayed",
]
