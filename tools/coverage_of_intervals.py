"""How often `submit.bootstrap`'s 95 % intervals hold the true score, by simulation: the table of docs/reference/submit.

Two predictions with true correlations r and r - 0.1 of normal responses, which share half of their variance or none.

    python tools/coverage_of_intervals.py [times]
"""

import sys

import numpy as np

from submit import bootstrap

GRID = [(n, t) for n in (10, 30, 100, 1000) for t in (1, 20, 200, 1000)]
CASES = [(0.5, 0.0), (0.9, 0.0), (0.5, 0.5)]
MOST = 10**8  # values simulated of one line


def simulated(n: int, t: int, r: float, shared: float, rng: np.random.Generator) -> list[np.ndarray]:
    """Two predictions and the truth, each (n, t)."""
    truth = np.sqrt(1 - shared) * rng.normal(size=(n, t)) + np.sqrt(shared) * rng.normal(size=(n, 1))
    first, more = rng.normal(size=(2, n, t))
    errors = first, 0.7 * first + np.sqrt(0.51) * more
    both = [q * truth + np.sqrt(1 - q * q) * error for q, error in zip((r, r - 0.1), errors, strict=True)]
    return [*both, truth]


def covered(n: int, t: int, r: float, shared: float, times: int) -> tuple[float, float, float]:
    """Shares of `times` in which the mean, the difference and the median of r are within their intervals."""
    rng, held = np.random.default_rng(0), np.zeros(3)
    for _ in range(times):
        x, other, y = simulated(n, t, r, shared, rng)
        found = [bootstrap.interval(x, y), bootstrap.difference(x, other, y)]
        if times * n * t <= MOST // 10:
            found.append(bootstrap.interval(x, y, aggregate="median", draws=200))
        inside = [one.low <= true <= one.high for one, true in zip(found, (r, 0.1, r), strict=False)]
        held += [*inside, np.nan][:3]
    return tuple((held / times).tolist())


def main() -> None:
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print("| samples | targets | r | shared | times | mean | difference | median |\n|" + "---|" * 8)
    for n, t in GRID:
        for r, shared in CASES:
            times = max(60, min(most, MOST // (n * t)))
            mean, gain, median = covered(n, t, r, shared, times)
            last = "" if np.isnan(median) else f"{median:.3f}"
            print(f"| {n} | {t} | {r} | {shared} | {times} | {mean:.3f} | {gain:.3f} | {last} |", flush=True)


if __name__ == "__main__":
    main()
