"""The challenges' definitions of a score, each made from a score of every target, and what it needs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from submit import metrics
from submit.metrics import ceilings
from submit.metrics.repeats import FEVE, NOISE_CORRECTED_R2, SINGLE_TRIAL, TO_AVERAGE
from submit.metrics.summed import EXPLAINED_VARIANCE, PEARSON, R2, Summed
from submit.scores.interval import CORRELATION, EXPLAINED, PLAIN, Scale

LEAST_FEV = 0.15
_FEVE = f"FEVE (FEV >= {LEAST_FEV})"
OVER_REGIONS = "Algonauts 2021"  # overall, it is the mean over regions and not over targets

OF_AVERAGES: Mapping[str, Summed] = {"Pearson r": PEARSON, "explained variance": EXPLAINED_VARIANCE, "R2": R2}
OF_PRESENTATIONS: Mapping[str, Summed] = {
    "noise-corrected r2": NOISE_CORRECTED_R2,
    _FEVE: FEVE,
    "Sensorium, single trial": SINGLE_TRIAL,
    "Sensorium, to average": TO_AVERAGE,
}
_SCALES = {
    "Pearson r": CORRELATION,
    "explained variance": EXPLAINED,
    "R2": EXPLAINED,
    "noise-corrected r2": PLAIN,  # chance takes it above 1
    _FEVE: EXPLAINED,
    "Sensorium, single trial": CORRELATION,
    "Sensorium, to average": CORRELATION,
}


@dataclass(frozen=True, eq=False)
class ChallengeScore:
    """score: the name above of what it is made of; counted: (t,) bool, over which targets.

    formula: (..., k) scores and, where there is one, their (k,) ceiling -> (..., k). scale: of the mean, on which its
    interval is symmetric.
    """

    score: str
    counted: np.ndarray
    formula: Callable[..., np.ndarray] | None = None
    ceiling: np.ndarray | None = None
    scale: Scale = PLAIN

    def values(self, scores: np.ndarray, region: np.ndarray, some: slice = slice(None)) -> np.ndarray:
        """(..., k) of the k targets that are counted and in the region (t,), of scores (..., b) of `some` of the t."""
        which = (self.counted & region)[some]
        chosen = scores[..., which]
        if self.formula is None:
            return chosen
        return (
            self.formula(chosen) if self.ceiling is None else self.formula(chosen, self.ceiling[some][which])
        )


def definitions(
    targets: int, ceiling: np.ndarray | None = None, repeats: np.ndarray | None = None
) -> tuple[dict[str, ChallengeScore], dict[str, str]]:
    """Those that can be computed, by name, and of the others what they need.

    ceiling: (t,) share of the averages' variance that is signal. repeats: (n, r, t), which give the reliability of
    Algonauts 2021; without them, or with more than can be split in halves, the ceiling stands for it.
    """
    every = np.ones(targets, bool)
    found = {name: ChallengeScore(name, every, scale=_SCALES[name]) for name in OF_AVERAGES}
    found["Algonauts, uncorrected"] = ChallengeScore("Pearson r", every, metrics.algonauts2023)
    names = ("Algonauts 2023", "NX-414, r / sqrt(NC)", "NX-414, EV / NC", OVER_REGIONS)
    lacking: dict[str, str] = {}
    if ceiling is None:
        lacking |= dict.fromkeys(names, "a ceiling or repeats")
    else:
        known, percent = ceiling > 0, 100 * ceiling
        reliability = ceiling
        if repeats is not None and repeats.shape[1] <= ceilings.MOST_REPEATS:
            reliability = np.clip(ceilings.split_half_reliability(repeats), 0, 1)
        normalised = (
            ChallengeScore("Pearson r", every, metrics.algonauts2023, ceiling),
            ChallengeScore("Pearson r", known, metrics.nx414_correlation, percent),
            ChallengeScore("explained variance", known, metrics.nx414_variance, percent),
            ChallengeScore("Pearson r", reliability > 0, metrics.noise_normalised, reliability),
        )
        found |= dict(zip(names, normalised, strict=True))
    if repeats is None:
        lacking |= dict.fromkeys(OF_PRESENTATIONS, "repeats")
    else:
        found |= {name: ChallengeScore(name, every, scale=_SCALES[name]) for name in OF_PRESENTATIONS}
        found[_FEVE] = ChallengeScore(
            _FEVE, ceilings.explainable_variance(repeats) >= LEAST_FEV, scale=EXPLAINED
        )
    return found, lacking
