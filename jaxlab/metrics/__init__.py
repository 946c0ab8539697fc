"""Scores as sums on the device: 40,000 targets cost seven rows of numbers, whatever the number of samples.

Sums are made with `start`, grown with `add` inside a compiled step, and read with `compute` after one transfer.
The definitions are those of `submit.metrics`; a test holds the two equal.
"""

from jaxlab.metrics.answers import AnswerSums
from jaxlab.metrics.classification import ClassificationSums
from jaxlab.metrics.regression import RegressionSums
from jaxlab.metrics.terms import TERM

Sums = RegressionSums | ClassificationSums
SumsByObjective = dict[str, Sums]

__all__ = ["TERM", "AnswerSums", "ClassificationSums", "RegressionSums", "Sums", "SumsByObjective"]
