"""Cross-validated ridge regression beside himalaya: seconds, peak memory, and how far the scores are apart."""

import json
import sys
from typing import Any

from bench_process import once

Row = dict[str, Any]
CASES = (
    {"n": 8000, "p": 2000, "t": 20_000, "alphas": 10, "folds": 5},
    {"n": 600, "p": 5000, "t": 90, "alphas": 13, "folds": 5},
)
QUICK = (
    {"n": 60, "p": 20, "t": 30, "alphas": 3, "folds": 3},
    {"n": 30, "p": 50, "t": 6, "alphas": 3, "folds": 3},
)


def measure(quick: bool, peer_python: str | None) -> list[Row]:
    """A row for each case. Each side runs in a process of its own, on the same numbers, and fits twice."""
    rows = []
    for case in QUICK if quick else CASES:
        row: Row = {**case, "jaxlab": once("bench_ridge.py", case)}
        if peer_python is not None:
            row["himalaya"] = once("bench_himalaya.py", case, python=peer_python)
            pairs = zip(row["jaxlab"]["scores"], row["himalaya"]["scores"], strict=True)
            row["apart"] = max(abs(ours - theirs) for ours, theirs in pairs)
        rows.append(row)
    return rows


HEADER = ("n x p -> t", "jaxlab s (first, then)", "himalaya s", "ratio", "scores apart", "peak GB (data)")


def table(rows: list[Row]) -> list[tuple[str, ...]]:
    lines = []
    for row in rows:
        sides = [row[key] for key in ("jaxlab", "himalaya") if key in row]
        seconds = [" / ".join(f"{s:.2f}" for s in side["seconds"]) for side in sides]
        beside = len(sides) > 1
        ratio = (
            " / ".join(f"{b / a:.1f}" for a, b in zip(*(side["seconds"] for side in sides), strict=True))
            if beside
            else ""
        )
        peaks = " / ".join(f"{side['peak_gb']:.2f}" for side in sides)
        lines.append((
            f"{row['n']:,} x {row['p']:,} -> {row['t']:,}, {row['alphas']} alphas, {row['folds']} folds",
            seconds[0],
            seconds[1] if beside else "",
            ratio,
            f"{row['apart']:.1e}" if beside else "",
            f"{peaks} ({sides[0]['data_gb']:.2f})",
        ))  # fmt: skip
    return lines


def _pairs(sides: list[Row]) -> list[tuple[float, float]]:
    return list(zip(*(side["seconds"] for side in sides), strict=True))


def _work(case: Row) -> Row:
    """One side: what Ridge does with one layer of features, from arrays to weights."""
    from bench_process import peak_memory_gb, timed
    from bench_ridge_data import problem

    from jaxlab.training import runtime

    runtime.prepare()
    import numpy as np

    from jaxlab.data import Images, Simulated
    from jaxlab.encode import FeatureSet, ImageEncoder
    from jaxlab.encode.extract import StoredLayer
    from jaxlab.encode.ridge import Ridge, fit
    from jaxlab.encode.store import Folder, Layer
    from jaxlab.models import LeNet5

    x, y, fold, alphas = problem(case)
    ids = np.arange(len(x)).astype(str)
    layer = Layer("x", "none", x.shape, "float32")
    features = FeatureSet(ids, {"x": StoredLayer(Folder("bench"), layer, x, None, None)})
    encoder = ImageEncoder(model=LeNet5(), images=Images(size=(32, 32)))
    config = Ridge(data=Simulated(), encoders=(encoder,), alphas=tuple(alphas), score="r2")
    before = peak_memory_gb()
    found: list[Any] = []
    seconds = [
        timed(lambda: found.append(fit(config, features, y, fold, lambda _: None)))["seconds"]
        for _ in range(2)
    ]
    scores = found[-1].rows[-1].score
    return {
        "seconds": seconds,
        "peak_gb": peak_memory_gb(),
        "data_gb": before,
        "scores": scores.astype(float).tolist(),
    }


if __name__ == "__main__":
    print(json.dumps(_work(json.loads(sys.argv[1]))))
