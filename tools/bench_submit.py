"""Scoring and writing a prediction as large as Algonauts' (1,000 images, 39,548 targets), beside pandas.

Each action runs in a process of its own; its peak memory includes what it started with, which "load" shows alone.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from bench_process import once, peak_memory_gb, timed

import submit

Row = dict[str, Any]
ACTIONS = {
    "load": "submit.Predictions.load(npz)",
    "write": "submit.write(predictions, csv)",
    "write checked": "submit.write(predictions, csv, sample_submission.csv)",
    "pandas write": "DataFrame(values).to_csv(csv)",
    "score": "submit.score(predictions, solution.csv)",
    "pandas score": "DataFrame(values).corrwith(pd.read_csv(solution.csv))",
    "score arrays": "submit.metrics.pearson(values, values)",
}


def measure(quick: bool) -> list[Row]:
    """A row for each action: seconds, cpu_seconds, memory_gb (the process's peak)."""
    with tempfile.TemporaryDirectory() as folder:
        samples, targets = (50, 400) if quick else (1000, 39548)
        make(Path(folder), samples, targets)
        found = [once("bench_submit.py", {"folder": folder, "action": action}) for action in ACTIONS]
    agreed = {row["value"] for row in found if row["action"] in ("score", "pandas score", "score arrays")}
    if max(agreed) - min(agreed) > 1e-4:
        raise SystemExit(f"submit and pandas disagree on the mean correlation: {agreed}")
    return [{"samples": samples, "targets": targets, **row} for row in found]


def make(folder: Path, samples: int, targets: int) -> None:
    """predictions.npz, solution.csv and sample_submission.csv: responses between -3 and 3, correlated 0.5."""
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((samples, targets), dtype=np.float32)
    ids = np.array([f"image{k:05d}" for k in range(samples)])
    names = np.array([f"voxel{k:05d}" for k in range(targets)])
    noise = rng.standard_normal(signal.shape, dtype=np.float32)
    submit.Predictions(ids=ids, values=signal + noise, targets=names).save(folder / "predictions.npz")
    sample = submit.Predictions(ids=ids, values=np.zeros_like(signal), targets=names)
    submit.write(sample, folder / "sample_submission.csv")
    submit.write(submit.Predictions(ids=ids, values=signal, targets=names), folder / "solution.csv")
    np.save(folder / "solution.npy", signal)


HEADER = ("action", "seconds", "peak memory GB", "of which before")


def table(rows: list[Row]) -> list[tuple[str, ...]]:
    return [
        (
            ACTIONS[r["action"]],
            f"{r['seconds']:.2f}",
            f"{r['memory_gb']:.2f}",
            f"{r['before_gb']:.2f}",
        )
        for r in rows
    ]


# -- the measured process --------------------------------------------------------------------------------------


def main() -> None:
    case = json.loads(sys.argv[1])
    folder, action = Path(case["folder"]), case["action"]
    npz, solution = folder / "predictions.npz", folder / "solution.csv"
    if action == "load":
        predictions, truth = None, None
    else:
        predictions = submit.Predictions.load(npz)
        truth = np.load(folder / "solution.npy") if action == "score arrays" else None

    def write() -> None:
        submit.write(predictions, folder / "written.csv")

    def write_checked() -> None:
        submit.write(predictions, folder / "written.csv", folder / "sample_submission.csv")

    def pandas_write() -> None:
        frame = pd.DataFrame(predictions.values, predictions.ids, predictions.targets)
        frame.to_csv(folder / "written.csv", index_label="id")

    def pandas_score() -> float:
        frame = pd.DataFrame(predictions.values, predictions.ids, predictions.targets)
        return frame.corrwith(
            pd.read_csv(solution, index_col=0, dtype=dict.fromkeys(predictions.targets, "f4"))
        ).mean()

    works: dict[str, Callable[[], Any]] = {
        "load": lambda: submit.Predictions.load(npz),
        "write": write,
        "write checked": write_checked,
        "pandas write": pandas_write,
        "score": lambda: submit.score(predictions, solution).mean,
        "pandas score": pandas_score,
        "score arrays": lambda: submit.metrics.pearson(predictions.values, truth).mean(),
    }
    before, result = peak_memory_gb(), []
    took = timed(lambda: result.append(works[action]()))
    value = float(result[0]) if "score" in action else None
    row = {"action": action, **took, "memory_gb": peak_memory_gb(), "before_gb": before, "value": value}
    print(json.dumps(row))


if __name__ == "__main__":
    main()
