"""Optimizers, learning-rate schedules and parameter averaging."""

from jaxlab.optim.ema import ema_update
from jaxlab.optim.optimizers import SGD, Adam, AdamW, Optimizer
from jaxlab.optim.schedules import Constant, Cosine, Exponential, OneCycle, Plateau, Schedule, Step

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Constant",
    "Cosine",
    "Exponential",
    "OneCycle",
    "Optimizer",
    "Plateau",
    "Schedule",
    "Step",
    "ema_update",
]
