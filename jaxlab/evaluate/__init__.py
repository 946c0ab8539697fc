"""Scores and predictions of trained parameters."""

from jaxlab.evaluate.inference import Inference
from jaxlab.evaluate.refine import Refine
from jaxlab.evaluate.tta import TTA

__all__ = ["TTA", "Inference", "Refine"]
