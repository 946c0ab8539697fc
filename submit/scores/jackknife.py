"""Scores without some of the samples: what the jackknife's intervals of means are made of."""

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np

from submit.blocks import blocks
from submit.metrics.summed import Summed, summed

_MOST = 1000  # samples that are left out one by one
_PARTS = 250  # of more


def parts(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """(n,) part of each sample, and (g,) how many each has: one sample, or of more than 1,000 one of 250 parts.

    Neighbours, as of one class, are in different parts.
    """
    part = np.arange(samples) % (samples if samples <= _MOST else _PARTS)
    return part, np.bincount(part)


def without_each(
    scores: Mapping[str, Summed], *arrays: np.ndarray
) -> Iterator[tuple[slice, dict[str, np.ndarray]]]:
    """Some targets after another, and name -> (g, b) their scores without each part, 0 where one is undefined.

    arrays: what the scores take, samples on the first axis and targets on the last. Scores that share their terms
    share the sums.
    """
    part, sizes = parts(len(arrays[0]))
    order = np.argsort(part, kind="stable")
    starts = np.cumsum(sizes) - sizes
    for which, block in blocks(*arrays):
        found = {}
        with np.errstate(all="ignore"):
            left = {
                terms: summed(terms(*block), partial(_left, order=order, starts=starts))
                for terms in dict.fromkeys(score.terms for score in scores.values())
            }
            for name, score in scores.items():
                found[name] = np.nan_to_num(score.score(left[score.terms]), posinf=0, neginf=0)
        yield which, found


def _left(values: np.ndarray, order: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """(g, b or 1): the sum over samples less that of each part."""
    of_parts = values if len(starts) == len(values) else np.add.reduceat(values[order], starts)
    return values.sum(0) - of_parts
