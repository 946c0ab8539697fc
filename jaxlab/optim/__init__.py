"""Optimizers, learning-rate schedules and fine-tuning."""

from jaxlab.optim.finetune import FineTune, Freeze, Rate
from jaxlab.optim.groups import Groups
from jaxlab.optim.optimizers import SGD, Adam, AdamW, Lion, Optimizer, RMSprop, undecayed
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
    "Lion",
    "OneCycle",
    "Optimizer",
    "Plateau",
    "RMSprop",
    "Rate",
    "Schedule",
    "Step",
    "Tuning",
    "undecayed",
]
