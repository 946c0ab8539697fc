"""`jaxlab overfit`: whether a network learns a few batches by heart, and what to try where it does not."""

from jaxlab.runs.overfit.overfit import Learned, Overfit, overfit

__all__ = ["Learned", "Overfit", "overfit"]
