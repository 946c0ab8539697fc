"""Selection by target: for each target the mean of the members that predict it best."""

import numpy as np

from submit.ensemble.cross_products import CrossProducts
from submit.ensemble.evidence import Weights

_DECIMALS = 12  # of r; what differs by less does alike


def selection(products: CrossProducts, keep: int | None = None) -> Weights:
    """For each target equal weights on its `keep` best members, by Pearson r; of equal ones the first are kept.

    A member whose r is undefined, as of a constant, is never kept: the mean is then of those that are left, and of all
    members where each is such. keep: default, of 1 to m the number that does best, for all targets together, where
    each part is combined by members chosen in the others; of equal numbers the largest, which is nearest to the mean.
    Entries to Algonauts have ensembles of their own for each parcel (as 2507.19956 of 2025, on arXiv).
    """
    keep = _best_number(products) if keep is None else keep
    order, count = _ranked(products, np.array([keep]))
    weights = np.empty(order.shape)
    np.put_along_axis(weights, order, (np.arange(products.members) < count) / count, axis=1)
    return Weights(weights, kept=keep)


def _ranked(products: CrossProducts, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(t, m) members from best to worst of each target, and (t, len(numbers)) how many are taken for each to keep."""
    r = np.round(products.alone(), _DECIMALS)
    defined = (~np.isnan(r)).sum(1, keepdims=True)
    count = np.where(defined, np.minimum(numbers, defined), products.members)
    return np.argsort(-r, axis=1, kind="stable"), count  # NaN comes last


def _best_number(products: CrossProducts) -> int:
    """From 1 to m."""
    r = np.concatenate([_by_number(block) for block in products.blocks()])
    scores = np.round(np.nan_to_num(products.over_targets(r), nan=-np.inf), _DECIMALS)
    return products.members - int(np.argmax(scores[::-1]))


def _by_number(products: CrossProducts) -> np.ndarray:
    """(t, m) Pearson r where 1 to m members are kept, those of each part chosen in the other ones."""
    numbers = np.arange(1, products.members + 1)
    total, square, cross = np.zeros((3, len(products.group), products.members))
    for part in range(products.parts):
        order, count = _ranked(products.without(part), numbers)
        rows = np.take_along_axis(products.products[part][:, :-1], order[:, :, None], 1)
        inner = np.take_along_axis(rows[:, :, :-1], order[:, None], 2)
        last = count - 1  # of what was added up member by member
        added = 2 * np.tril(inner, -1).sum(2) + np.diagonal(inner, axis1=1, axis2=2)
        sums = np.take_along_axis(products.sums[part][:, :-1], order, 1)
        total += np.take_along_axis(np.cumsum(sums, 1), last, 1) / count
        square += np.take_along_axis(np.cumsum(added, 1), last, 1) / count**2
        cross += np.take_along_axis(np.cumsum(rows[:, :, -1], 1), last, 1) / count
    return products.correlation(total, square, cross)
