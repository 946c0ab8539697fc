"""The ridge problem that both sides of bench_ridge.py solve; numpy only."""

from typing import Any

import numpy as np


def problem(case: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x (n, p), scaled so that the mean squared norm of its rows is 1 once centred; y (n, t); folds; penalties."""
    n, p, t = case["n"], case["p"], case["t"]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, p), dtype=np.float32) * np.geomspace(1, 0.03, p, dtype=np.float32)
    weights = rng.standard_normal((p, t), dtype=np.float32)
    y = x @ weights
    y += y.std(0) * rng.standard_normal((n, t), dtype=np.float32)
    x -= x.mean(0)
    x /= np.sqrt(np.square(x).sum(1).mean())
    return x, y, np.arange(n) * case["folds"] // n, np.logspace(-3, 3, case["alphas"])
