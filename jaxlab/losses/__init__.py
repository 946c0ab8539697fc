"""Losses: arrays -> one value a sample, so that masks and devices are reduced in one place."""

from jaxlab.losses.base import END, About, BatchLoss, Loss, Space, Total
from jaxlab.losses.classification import CrossEntropy, Focal, LogitAdjusted
from jaxlab.losses.contrast import NTXent
from jaxlab.losses.ramp import Ramp, Weight, weight_at
from jaxlab.losses.regression import Mse, Poisson, SmoothL1, TargetLoss
from jaxlab.losses.soft_answers import SoftAnswers
from jaxlab.losses.weighted import WeightedSum
from jaxlab.losses.whole_batch import NegativePearson, Spread

__all__ = [
    "END",
    "About",
    "BatchLoss",
    "CrossEntropy",
    "Focal",
    "LogitAdjusted",
    "Loss",
    "Mse",
    "NTXent",
    "NegativePearson",
    "Poisson",
    "Ramp",
    "SmoothL1",
    "SoftAnswers",
    "Space",
    "Spread",
    "TargetLoss",
    "Total",
    "Weight",
    "WeightedSum",
    "weight_at",
]
