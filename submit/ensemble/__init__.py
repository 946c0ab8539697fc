"""One prediction out of several, matched by id and target name.

    submit.mean([a, b])                             # also weighted, rank_average, trimmed_mean: nothing is learned

    learned = submit.ensemble.best([a_validation, b_validation], truth)   # or greedy, select, stack
    learned.scores                                                        # of each way, cross-validated
    learned.apply([a_test, b_test])                                       # the same members in the same order

What is learned is learned from validation or out-of-fold predictions, never from test.
"""

from submit.ensemble.averaging import mean, weighted
from submit.ensemble.combination import Combination
from submit.ensemble.learning import best, greedy, select, stack
from submit.ensemble.sorting import rank_average, trimmed_mean

__all__ = [
    "Combination",
    "best",
    "greedy",
    "mean",
    "rank_average",
    "select",
    "stack",
    "trimmed_mean",
    "weighted",
]
