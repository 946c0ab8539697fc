"""How often `submit probe` finds what is misaligned, and what is not, by simulation.

python tools/hits_of_probe.py [times]
"""

import sys
from collections.abc import Callable

import numpy as np

from submit import Predictions
from submit.scores.pairing import paired
from submit.scores.probe import probe

Values = tuple[np.ndarray, np.ndarray]


def responses(n: int, t: int, r: float, rank: int, rng: np.random.Generator) -> Values:
    """Predictions of correlation r, and the truth: (n, t), of `rank` shared signals, or of independent ones for 0."""

    def drawn() -> np.ndarray:
        if not rank:
            return rng.normal(size=(n, t))
        return rng.normal(size=(n, rank)) @ rng.normal(size=(rank, t)) / np.sqrt(rank)

    truth = drawn()
    return r * truth + np.sqrt(1 - r * r) * drawn(), truth


def exchanged(rows: int) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    def change(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        some = rng.choice(len(values), rows, replace=False)
        values = values.copy()
        values[some] = values[np.roll(some, 1)]
        return values

    return change


def late(start: float) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    def change(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        cut = int(start * len(values))
        return np.concatenate([values[:cut], values[cut : cut + 1], values[cut:-1]])

    return change


CHANGES = {
    "aligned": lambda values, rng: values,
    "all one late": lambda values, rng: np.roll(values, 1, axis=0),
    "one late from the middle": late(0.5),
    "one late from a quarter on": late(0.25),
    "half shuffled": lambda values, rng: np.concatenate(
        [values[: len(values) // 2], rng.permutation(values[len(values) // 2 :])]
    ),
    "all shuffled": lambda values, rng: rng.permutation(values),
    "two rows exchanged": exchanged(2),
    "two columns exchanged": lambda values, rng: exchanged(2)(values.T, rng).T,
}
SIZES = [
    (12, 3, 0.5, 0),
    (12, 3, 0.9, 0),
    (100, 20, 0.5, 1),
    (100, 20, 0.3, 1),
    (100, 20, 0.1, 0),
    (100, 20, 0.5, 4),
]
SIZES += [(100, 20, 0.5, 0), (100, 100, 0.5, 0), (200, 500, 0.3, 0), (300, 40, 0.6, 0)]


def main() -> None:
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    print(
        "| samples, targets, r, shared signals |", " | ".join(CHANGES), "|\n|" + "---|" * (len(CHANGES) + 1)
    )
    for n, t, r, rank in SIZES:
        cells = []
        for change in CHANGES.values():
            found = 0
            for seed in range(times):
                rng = np.random.default_rng(seed)
                guess, truth = responses(n, t, r, rank, rng)
                ids, targets = np.arange(1000, 1000 + n).astype(str), np.array([f"n{k}" for k in range(t)])
                sides = (Predictions(ids, side, targets, split="") for side in (change(guess, rng), truth))
                found += bool(probe(paired(*sides), shuffles=1000).findings)
            cells.append(f"{found}")
        print(f"| {n}, {t}, {r}, {rank or 'none'} |", " | ".join(cells), f"| of {times}", flush=True)


if __name__ == "__main__":
    main()
