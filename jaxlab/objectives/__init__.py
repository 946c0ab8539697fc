"""What a network learns to predict: a head, a loss, and the truth that it is compared with."""

from jaxlab.objectives.objective import Objective, resolved, targets_of
from jaxlab.objectives.resolved import KINDS, Classification, Regression, Resolved

__all__ = ["KINDS", "Classification", "Objective", "Regression", "Resolved", "resolved", "targets_of"]
