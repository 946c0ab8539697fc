"""How well probabilities of classes are calibrated, before and after a temperature is fitted."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from submit.metrics.calibration import Reliability, cross_fitted, log_loss, reliability, softmax, temperature
from submit.predictions import ValueKind

_LEAST = np.float32(1e-38)  # a probability of 0 has no logarithm


@dataclass(frozen=True, eq=False)
class Calibration:
    """temperature: fitted to all samples, for those whose truth is not known.

    before, after: samples by confidence, as they are predicted and with the temperature that the other fifths of the
    samples have. log_loss, calibrated_log_loss: of both, in nats, over the samples of a known class.
    """

    temperature: float
    before: Reliability
    after: Reliability
    log_loss: float
    calibrated_log_loss: float

    def scores(self) -> dict[str, float]:
        """By name."""
        return {
            "calibration_error": self.before.error,
            "calibration_error_calibrated": self.after.error,
            "log_loss": self.log_loss,
            "log_loss_calibrated": self.calibrated_log_loss,
            "temperature": self.temperature,
        }

    def rows(self) -> list[dict[str, Any]]:
        """A bin of confidence each, before and after."""
        bins = len(self.before.samples)
        found = []
        for when, one in (("before", self.before), ("after", self.after)):
            of_bins = zip(one.samples, one.confidence, one.accuracy, strict=True)
            for k, (samples, confidence, accuracy) in enumerate(of_bins):
                found.append(
                    {
                        "temperature": when,
                        "above": k / bins,
                        "up_to": (k + 1) / bins,
                        "samples": int(samples),
                        "confidence": float(confidence),
                        "accuracy": float(accuracy),
                    }
                )
        return found


def calibrated(values: np.ndarray, truth: np.ndarray, kind: ValueKind) -> Calibration:
    """Of logits or probabilities (n, c) against class numbers (n,). Raises SubmissionError where there is none.

    That is so of a single class or sample, of values that are not finite, and of rows that are no probabilities.
    """
    logits = as_logits(values, kind)
    probabilities = softmax(logits) if kind == "logits" else values
    cooled, _ = cross_fitted(logits, truth)
    return Calibration(
        temperature(logits, truth),
        reliability(probabilities, truth),
        reliability(softmax(cooled), truth),
        log_loss(logits, truth),
        log_loss(cooled, truth),
    )


def as_logits(values: np.ndarray, kind: ValueKind) -> np.ndarray:
    """(n, c) logits, or the logarithms of probabilities, of which 0 is taken for 1e-38."""
    values = np.asarray(values)
    return np.log(np.maximum(values, values.dtype.type(_LEAST))) if kind == "probabilities" else values
