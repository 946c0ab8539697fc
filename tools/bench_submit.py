"""Scoring, writing and checking large predictions, beside pandas.

wide: as large as Algonauts' (1,000 images, 39,548 targets). tall: a million images, three targets. long: a row for each
of a million pairs of image and target. Each action runs in a process of its own; its peak memory includes what it
started with, the predictions among it. `pyarrow.csv` is that library's own CSV writer, which submit does not use.
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
SHAPES = {"wide": (1000, 39548), "tall": (1_000_000, 3), "long": (1000, 1000)}
QUICK = {"wide": (50, 400), "tall": (500, 3), "long": (20, 30)}
ACTIONS = {
    "load": "submit.Predictions.load(npz)",
    "write": "submit.write(predictions, csv)",
    "write checked": "submit.write(predictions, csv, sample_submission.csv)",
    "check": "submit.check(csv, sample_submission.csv)",
    "pandas write": "DataFrame(values).to_csv(csv)",
    "pyarrow write": "pyarrow.csv.CSVWriter(csv), batch by batch",
    "score": "submit.score(predictions, solution.csv)",
    "pandas score": "DataFrame(values).corrwith(pd.read_csv(solution.csv))",
    "score arrays": "submit.metrics.pearson(values, values)",
}
OF_SHAPE = {
    "wide": tuple(ACTIONS),
    "tall": ("load", "write", "write checked", "check", "pandas write", "pyarrow write"),
    "long": ("load", "write checked", "check", "pandas write"),
}


def measure(quick: bool) -> list[Row]:
    """A row for each shape and action: seconds, cpu_seconds, memory_gb (the process's peak), before_gb."""
    found: list[Row] = []
    for shape, (samples, targets) in (QUICK if quick else SHAPES).items():
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), shape, samples, targets)
            for action in OF_SHAPE[shape]:
                row = once("bench_submit.py", {"folder": folder, "shape": shape, "action": action})
                found.append({"shape": shape, "samples": samples, "targets": targets, **row})
    agreed = {row["value"] for row in found if row["action"] in ("score", "pandas score", "score arrays")}
    if max(agreed) - min(agreed) > 1e-4:
        raise SystemExit(f"submit and pandas disagree on the mean correlation: {agreed}")
    return found


def make(folder: Path, shape: str, samples: int, targets: int) -> None:
    """predictions.npz, solution.csv and sample_submission.csv: responses between -3 and 3, correlated 0.5."""
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((samples, targets), dtype=np.float32)
    ids = np.array([f"image{k:07d}" for k in range(samples)])
    names = np.array([f"voxel{k:05d}" for k in range(targets)])
    noise = rng.standard_normal(signal.shape, dtype=np.float32)
    submit.Predictions(ids=ids, values=signal + noise, targets=names).save(folder / "predictions.npz")
    submit.write(submit.Predictions(ids=ids, values=signal, targets=names), folder / "solution.csv")
    np.save(folder / "solution.npy", signal)
    sample = folder / "sample_submission.csv"
    if shape == "long":
        rows = [f"{image}_{voxel}" for voxel in names for image in ids]
        pd.DataFrame({"id": rows, "value": 0}).to_csv(sample, index=False)
    else:
        submit.write(submit.Predictions(ids=ids, values=np.zeros_like(signal), targets=names), sample)
    predictions = submit.Predictions.load(folder / "predictions.npz")
    submit.write(predictions, folder / "submission.csv", sample)


HEADER = ("shape", "action", "seconds", "of pandas'", "peak memory GB", "of which before")


def table(rows: list[Row]) -> list[tuple[str, ...]]:
    seconds = {(row["shape"], row["action"]): row["seconds"] for row in rows}
    return [
        (
            f"{row['shape']}, {row['samples']:,} x {row['targets']:,}",
            ACTIONS[row["action"]],
            f"{row['seconds']:.2f}",
            _share(row, seconds),
            f"{row['memory_gb']:.2f}",
            f"{row['before_gb']:.2f}",
        )
        for row in rows
    ]


def _share(row: Row, seconds: dict[tuple[str, str], float]) -> str:
    """Of the time that pandas takes for the same."""
    other = "pandas " + row["action"].split()[0]
    return f"{row['seconds'] / seconds[row['shape'], other]:.2f}" if (row["shape"], other) in seconds else ""


# -- the measured process --------------------------------------------------------------------------------------


def main() -> None:
    case = json.loads(sys.argv[1])
    folder, action, long = Path(case["folder"]), case["action"], case["shape"] == "long"
    npz, solution, sample = (
        folder / name for name in ("predictions.npz", "solution.csv", "sample_submission.csv")
    )
    written = folder / "written.csv"
    predictions = None if action in ("load", "check") else submit.Predictions.load(npz)
    truth = np.load(folder / "solution.npy") if action == "score arrays" else None

    def pandas_score() -> float:
        frame = pd.DataFrame(predictions.values, predictions.ids, predictions.targets)
        types = dict.fromkeys(predictions.targets, "f4")
        return frame.corrwith(pd.read_csv(solution, index_col=0, dtype=types)).mean()

    works: dict[str, Callable[[], Any]] = {
        "load": lambda: submit.Predictions.load(npz),
        "write": lambda: submit.write(predictions, written),
        "write checked": lambda: submit.write(predictions, written, sample),
        "check": lambda: submit.check(folder / "submission.csv", sample),
        "pandas write": lambda: pandas_write(predictions, written, sample if long else None),
        "pyarrow write": lambda: pyarrow_write(predictions, written),
        "score": lambda: submit.score(predictions, solution).mean,
        "pandas score": pandas_score,
        "score arrays": lambda: submit.metrics.pearson(predictions.values, truth).mean(),
    }
    before, result = peak_memory_gb(), []
    took = timed(lambda: result.append(works[action]()))
    if action == "check" and result[0]:
        raise SystemExit("\n".join(result[0]))
    value = float(result[0]) if "score" in action else None
    row = {"action": action, **took, "memory_gb": peak_memory_gb(), "before_gb": before, "value": value}
    print(json.dumps(row))


def pandas_write(predictions: submit.Predictions, path: Path, long_sample: Path | None) -> None:
    """The rows of the long form are filled in by the sample's ids, as submit does."""
    if long_sample is None:
        frame = pd.DataFrame(predictions.values, predictions.ids, predictions.targets)
        frame.to_csv(path, index_label="id")
        return
    rows = [f"{image}_{voxel}" for image in predictions.ids for voxel in predictions.targets]
    sample = pd.read_csv(long_sample, dtype={"id": str}, keep_default_na=False)
    sample["value"] = sample["id"].map(pd.Series(predictions.values.ravel(), rows))
    sample.to_csv(path, index=False)


def pyarrow_write(predictions: submit.Predictions, path: Path, cells: int = 2**22) -> None:
    import pyarrow
    from pyarrow import csv

    targets = [(name, pyarrow.float32()) for name in predictions.targets.tolist()]
    schema = pyarrow.schema([("id", pyarrow.string()), *targets])
    step = max(1, cells // len(targets))
    with csv.CSVWriter(path, schema) as writer:
        for start in range(0, len(predictions), step):
            rows = slice(start, start + step)
            columns = [pyarrow.array(column) for column in np.ascontiguousarray(predictions.values[rows].T)]
            ids = pyarrow.array(predictions.ids[rows])
            writer.write_batch(pyarrow.RecordBatch.from_arrays([ids, *columns], schema=schema))


if __name__ == "__main__":
    main()
