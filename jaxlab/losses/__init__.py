"""Losses: arrays -> one value a sample, so that masks and devices are reduced in one place."""

from jaxlab.losses.base import END, About, BatchLoss, Loss, Space, Total
from jaxlab.losses.classification import CrossEntropy
from jaxlab.losses.ramp import Ramp, Weight, weight_at
from jaxlab.losses.regression import Mse

__all__ = [
    "END",
    "About",
    "BatchLoss",
    "CrossEntropy",
    "Loss",
    "Mse",
    "Ramp",
    "Space",
    "Total",
    "Weight",
    "weight_at",
]
