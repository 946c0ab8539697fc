"""Samples whose values lie under other ids than their own, where no single order of all ids explains it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.optimize import linear_sum_assignment

from submit.errors import named

_SHIFTS = (1, -1, 2, -2)  # samples lost, or there twice
_CUTS = 16  # places, evenly spaced, from which on (or up to which) all may be shifted
_FEWEST = 10  # samples beyond a cut
MOST_ROWS = 2048  # at most: an assignment takes their number cubed
_OWN = 2  # deviations: a row whose own value stands out no more than this may be another's


@dataclass(frozen=True)
class Shifted:
    """The score if the values from the id `first` on, or up to it, are those of ids `shift` later in an order."""

    score: float
    description: str


def shifted_part(
    every: np.ndarray, known: Mapping[str, np.ndarray], ids: np.ndarray, chance: float
) -> Shifted | None:
    """The part of an order of ids whose values are those of ids a place or two further on; None where chance may do it.

    every: (n, n) what each sample's values add to the score as each sample's. known: description -> order (n,) of the
    samples. By a t-test over the samples beyond each of some cuts, at the level `chance` over all of them.
    """
    own, best = np.diagonal(every).astype(np.float64), (1.0, 0, "", 0, True)
    tests = len(known) * len(_SHIFTS) * _CUTS * 2
    for name, order in known.items():
        for shift in _SHIFTS:
            under, of = (order[:-shift], order[shift:]) if shift > 0 else (order[-shift:], order[:shift])
            gain = every[under, of] - own[of]
            for cut in np.unique(np.linspace(0, len(gain), _CUTS + 2).astype(int)[1:-1]):
                for tail in (True, False):
                    best = min(
                        best, (_chance(gain[cut:] if tail else gain[:cut]), shift, name, int(cut), tail)
                    )
    p, shift, name, _, tail = best
    if p * tests >= chance:
        return None
    order = known[name]
    under, of = (order[:-shift], order[shift:]) if shift > 0 else (order[-shift:], order[:shift])
    gain = every[under, of] - own[of]
    towards = np.cumsum(gain[::-1])[::-1] if tail else np.cumsum(gain)
    edge = int(np.argmax(towards))
    late = f"{abs(shift)} {'early' if shift > 0 else 'late'}"
    part = f"from about {str(ids[under[edge]])!r} on" if tail else f"up to about {str(ids[under[edge]])!r}"
    return Shifted(float(own.sum() + towards[edge]), f"values {part} are {late}, in {name}")


def _chance(gain: np.ndarray) -> float:
    if len(gain) < _FEWEST or not (spread := gain.std(ddof=1) / np.sqrt(len(gain))) > 0:
        return 1.0
    return float(stats.t.sf(gain.mean() / spread, len(gain) - 1))


def needed(samples: int) -> float:
    """By how many deviations a sample's values must stand out as another's for chance not to do it to two of them."""
    return float(max(4.5, stats.norm.isf(0.05 / samples)))


def standing_out(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n, n): how well row i of a (n, t) fits row j of b beside the others, in deviations; NaN of a row of zeros.

    Targets that share few signals cannot tell many samples apart: of d independent ones none stands out by sqrt(d).
    """
    with np.errstate(all="ignore"):
        a, b = (side / np.sqrt((side * side).sum(1, dtype=np.float64))[:, None] for side in (a, b))
        cosine = (a @ b.T).astype(np.float64)
        return (cosine - cosine.mean(1)[:, None]) / cosine.std(1)[:, None]


def exchanged_rows(fits: np.ndarray, ids: np.ndarray) -> str:
    """Which samples' values stand out as another's, which in turn lacks its own, in words; empty for none.

    fits: `standing_out`. Neither a sample that is badly predicted nor one like another seems exchanged: the other must
    lack its own values too.
    """
    if not 1 < len(fits) <= MOST_ROWS:
        return ""
    known = np.nan_to_num(fits, nan=0.0)
    _, other = linear_sum_assignment(known, maximize=True)
    rows = np.arange(len(known))
    lacking = np.diagonal(known) < _OWN
    strong = (other != rows) & lacking & lacking[other] & (known[rows, other] >= needed(len(known)))
    moved = np.flatnonzero(strong & strong[other])  # the other's values stand out as some sample's too
    if len(moved) < 2:
        return ""
    return named((f"{ids[k]} holds {ids[other[k]]}" for k in moved), len(moved))
