"""Non-negative stacking: a ridge regression of the truth on the members, drawn towards their mean."""

import numpy as np

from submit.ensemble.cross_products import CrossProducts
from submit.ensemble.evidence import Weights
from submit.ensemble.nonnegative import nonnegative

PENALTIES = np.logspace(2, -4, 13)  # strongest first, which is kept where several do alike
_LEAST = (
    1e-12  # a penalty so small beside the members' squares leaves a system that rounding may make singular
)


def stacking(products: CrossProducts) -> Weights:
    """Weights with the penalty that does best where each part is combined by weights learned from the others.

    For each group of targets the w >= 0 with the smallest
        mean over targets, samples of (y - w'p)^2 / var(y)  +  penalty * |w - 1/m|^2,
    p and y less their means (Breiman 1996, Stacked regressions, has w >= 0 without penalty). Dividing by var(y)
    makes a penalty mean the same for every target. One is chosen for all groups.
    """
    systems = [_system(products.without(part)) for part in range(products.parts)]
    scores = [products.score([_solved(*system, penalty) for system in systems]) for penalty in PENALTIES]
    penalty = float(PENALTIES[int(np.argmax(np.nan_to_num(scores, nan=-np.inf)))])
    return Weights(_solved(*_system(products), penalty), penalty)


def _system(products: CrossProducts) -> tuple[np.ndarray, np.ndarray]:
    """(g, m, m) mean products of members and (g, m) of members with the truth, each target divided by var(y).

    A target without variance adds nothing; a group of such targets alone takes the mean.
    """
    both = products.covariance
    variance = both[:, -1, -1]
    scaled = np.divide(
        both, variance[:, None, None], out=np.zeros_like(both), where=variance[:, None, None] > 0
    )
    groups = int(products.group.max()) + 1
    total = np.zeros((groups, *both.shape[1:]))
    np.add.at(total, products.group, scaled)
    total /= np.maximum(np.bincount(products.group, weights=variance > 0), 1)[:, None, None]
    return total[:, :-1, :-1], total[:, :-1, -1]


def _solved(products: np.ndarray, with_truth: np.ndarray, penalty: float) -> np.ndarray:
    m = with_truth.shape[1]
    least = _LEAST * np.trace(
        products, axis1=1, axis2=2
    )  # of members that are equal and vary far more than y
    share = np.maximum(penalty, least)[:, None]
    return nonnegative(products + share[:, :, None] * np.eye(m), with_truth + share / m)
