"""What a network learns to predict: a head, a loss, and the truth that it is compared with."""

from jaxlab.objectives.objective import Objective, resolved, targets_of
from jaxlab.objectives.resolved import KINDS, Classes, Numbers, Resolved

__all__ = ["KINDS", "Classes", "Numbers", "Objective", "Resolved", "resolved", "targets_of"]
