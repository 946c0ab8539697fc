"""Reference definitions of noise ceilings, from repeated presentations of the same images, in float64.

Repeats are (n images, r presentations, t targets); NaN stands for a presentation that is missing, so images may
have different numbers of them. A response is taken for signal(image) + noise, the noise independent of the image
and of other presentations. Targets are taken a few at a time, so that little memory is used beside the input.

A target whose ceiling cannot be known (no image with two presentations, no variance) has 0, like one that is
noise alone.
"""

from collections.abc import Callable
from itertools import combinations

import numpy as np

from submit.blocks import above_lowest, by_block
from submit.errors import SubmissionError

MOST_REPEATS = 16  # 6,435 half splits
_ROUNDING = 1e-9  # a correlation this near to -1 is -1


def ncsnr(repeats: np.ndarray) -> np.ndarray:
    """Noise ceiling signal-to-noise ratio, (t,): sd of the signal / sd of the noise (Allen et al. 2022, NSD).

    noise variance = sum_i (r_i - 1) s_i^2 / sum_i (r_i - 1), s_i^2 the variance over the r_i presentations of image i;
    signal variance = max(variance over all presentations - noise variance, 0). Variances are unbiased (ddof 1).
    Infinite for a target without noise.
    """
    return _known(_ncsnr, repeats)


def nsd_ceiling(ratio: np.ndarray, images: tuple[int, int, int]) -> np.ndarray:
    """Algonauts 2023's and NSD's noise ceiling, (t,) share of variance.

    ncsnr^2 / (ncsnr^2 + (A/3 + B/2 + C/1) / (A + B + C)).
    ratio: (t,) ncsnr. images: (A, B, C), how many of the images that are scored have 3, 2 and 1 repeats.
    The vertex score of Algonauts 2023 is min(r^2 / ceiling, 1).
    """
    if len(images) != 3 or min(images) < 0 or sum(images) == 0:
        raise SubmissionError(f"images: expected how many have 3, 2 and 1 repeats; found {images}.")
    triple, double, single = images
    noise = (triple / 3 + double / 2 + single) / (triple + double + single)
    with np.errstate(divide="ignore"):
        return 1 / (1 + noise / np.asarray(ratio, np.float64) ** 2)


def signal_share(repeats: np.ndarray) -> np.ndarray:
    """Share of the averaged response's variance that is signal, (t,) in 0 to 1: a ceiling of r^2.

    1 - noise variance * mean_i(1 / r_i) / V, with V the variance over images of their averages (ddof 1) and the noise
    variance as in `ncsnr`: E[V] = signal variance + noise variance * mean_i(1 / r_i), however many repeats each
    image has. Images without any presentation are left out.
    """
    return _known(_signal_share, repeats)


def variance_ceiling(repeats: np.ndarray) -> np.ndarray:
    """NX-414's variance ceiling in percent, (t,): 100 snr / (snr + 1 / n_reps), snr = signal / noise variance.

    With different numbers of repeats, 1 / n_reps is their mean reciprocal: 100 times `signal_share`.
    """
    return 100 * signal_share(repeats)


def explainable_variance(repeats: np.ndarray) -> np.ndarray:
    """FEV, the share of single presentations' variance that is signal, (t,), as in neuralpredictors (Sinz lab).

    (total - noise) / total, total the variance over all presentations, noise the mean over images of the variance
    over their presentations (ddof 1), over the images with two or more. Negative where chance has it so.
    """
    return _known(_explainable_variance, repeats)


def split_half_reliability(repeats: np.ndarray) -> np.ndarray:
    """Reliability of the averaged response, (t,): Spearman-Brown 2p / (1 + p) averaged over all half splits of repeats.

    p is the Pearson correlation over images between the averages of the two halves (Algonauts 2021, whose score is
    r / sqrt(reliability)); an odd number of repeats is split into halves that differ by one. An image without a
    presentation in one of the halves is left out of that split. Negative p count as they are, p = -1 as 0, so that
    of few images one split may outweigh the others: a reliability near 0 is not to be divided by.
    Raises SubmissionError for a single repeat, and for more than 16 (over 6,435 splits).
    """
    r = _checked(repeats).shape[1]
    if not 2 <= r <= MOST_REPEATS:
        raise SubmissionError(f"repeats: expected 2 to {MOST_REPEATS} repeats to split in halves; found {r}.")
    halves = [half for half in combinations(range(r), r // 2) if r % 2 or 0 in half]
    return _known(lambda block: _reliability(block, halves), repeats)


def _checked(repeats: np.ndarray) -> np.ndarray:
    repeats = np.asarray(repeats)
    if repeats.ndim != 3 or repeats.dtype.kind not in "fiu" or 0 in repeats.shape[:2]:
        raise SubmissionError(
            f"repeats: expected numbers (images, repeats, targets); found {repeats.dtype} of shape {repeats.shape}."
        )
    return repeats


def _known(ceiling: Callable[[np.ndarray], np.ndarray], repeats: np.ndarray) -> np.ndarray:
    values = by_block(lambda block: ceiling(above_lowest(block)), _checked(repeats))
    return np.where(np.isnan(values), 0.0, values)  # what is undefined becomes 0


def _counts_and_means(block: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, t) number of presentations and their mean, NaN where there is none."""
    counts = (~np.isnan(block)).sum(1)
    return counts, np.nansum(block, axis=1) / counts


def _noise(block: np.ndarray, counts: np.ndarray, means: np.ndarray) -> np.ndarray:
    """(t,) pooled variance within images."""
    squares = np.nansum((block - means[:, None]) ** 2, axis=(0, 1))
    return squares / np.maximum(counts - 1, 0).sum(0)


def _total(block: np.ndarray) -> np.ndarray:
    """(t,) variance over all presentations, ddof 1."""
    rows = block.reshape(-1, block.shape[2])
    counts = (~np.isnan(rows)).sum(0)
    return np.nansum((rows - np.nansum(rows, axis=0) / counts) ** 2, axis=0) / (counts - 1)


def _ncsnr(block: np.ndarray) -> np.ndarray:
    noise = _noise(block, *_counts_and_means(block))
    return np.sqrt(np.maximum(_total(block) - noise, 0) / noise)


def _signal_share(block: np.ndarray) -> np.ndarray:
    counts, means = _counts_and_means(block)
    shown = counts > 0
    reciprocal = np.where(shown, 1 / np.maximum(counts, 1), 0).sum(0) / shown.sum(0)
    centred = means - np.nansum(means, axis=0) / shown.sum(0)
    variance = np.nansum(centred**2, axis=0) / (shown.sum(0) - 1)
    return np.clip(1 - _noise(block, counts, means) * reciprocal / variance, 0, 1)


def _explainable_variance(block: np.ndarray) -> np.ndarray:
    counts, means = _counts_and_means(block)
    repeated = counts > 1
    within = np.nansum((block - means[:, None]) ** 2, axis=1) / (counts - 1)
    noise = np.where(repeated, within, 0).sum(0) / repeated.sum(0)
    total = _total(np.where(repeated[:, None], block, np.nan))
    return (total - noise) / total


def _reliability(block: np.ndarray, halves: list[tuple[int, ...]]) -> np.ndarray:
    """(t,): one half is summed, the other is what remains of the whole."""
    shown = ~np.isnan(block)
    values = np.where(shown, block, 0)
    sums, counts = values.sum(1), shown.sum(1)
    found = np.zeros(block.shape[2])
    for half in halves:
        chosen = list(half)
        first_sum, first_count = values[:, chosen].sum(1), shown[:, chosen].sum(1)
        both = (first_count > 0) & (first_count < counts)
        p = _correlation(first_sum / first_count, (sums - first_sum) / (counts - first_count), both)
        found += np.where(p > -1 + _ROUNDING, 2 * p / (1 + p), 0) / len(halves)
    return found


def _correlation(x: np.ndarray, y: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(t,) Pearson correlation over the rows (n, t) that are set."""
    x, y = (np.where(rows, side, 0) for side in (x, y))
    x, y = (np.where(rows, side - side.sum(0) / rows.sum(0), 0) for side in (x, y))
    return np.clip((x * y).sum(0) / np.sqrt((x * x).sum(0) * (y * y).sum(0)), -1, 1)
