"""The input pipeline in images/s: decoding, batching, transfers; and the train step on a resident batch and fed."""

import itertools
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from bench_process import once
from bench_start import simulated

Row = dict[str, Any]
PIXELS = 320  # of the stored images
CASES = (
    {"model": "shallow_cnn", "size": 56, "batch": 50, "targets": 40, "filter": "area"},
    {"model": "resnet18", "size": 224, "batch": 16, "targets": 40, "filter": "bicubic"},
)
STAGES = ("decode png", "decode jpeg", "batches", "batches and put", "step, resident batch", "step, fed")


def measure(quick: bool) -> list[Row]:
    """A row for each case: images/s of each stage. Images are decoded once in a run, so batches start from arrays."""
    with tempfile.TemporaryDirectory() as folder:
        data = simulated(Path(folder), images=60 if quick else 400, size=PIXELS)
        _as_jpeg(data / "train", data / "jpeg")
        tiny = {"size": 24, "batch": 4} if quick else {}
        cases = [{**case, **tiny, "root": str(data), "seconds": 0.3 if quick else 5.0} for case in CASES]
        return [{**case, **once("bench_input.py", case, JAXLAB_CACHE=f"{folder}/cache")} for case in cases]


def _as_jpeg(source: Path, target: Path) -> None:
    from PIL import Image

    target.mkdir()
    for path in source.iterdir():
        Image.open(path).save(target / f"{path.stem}.jpg", quality=90)


HEADER = ("input and step", *(f"{stage} images/s" for stage in STAGES))


def table(rows: list[Row]) -> list[tuple[str, ...]]:
    return [
        (f"{PIXELS} -> {r['size']} px {r['filter']}, {r['model']}", *(f"{r[stage]:,.0f}" for stage in STAGES))
        for r in rows
    ]


# -- the measured process --------------------------------------------------------------------------------------


def main() -> None:
    from bench_jaxlab import Steps

    from jaxlab.data.images import Images, decode
    from jaxlab.data.pipeline import Batches, prefetch
    from jaxlab.data.sources.table import KaggleTable

    case = json.loads(sys.argv[1])
    seconds, batch, root = case["seconds"], case["batch"], case["root"]
    how = Images(size=(case["size"], case["size"]), filter=case["filter"])
    found: Row = {}
    for kind, folder in (("png", "train"), ("jpeg", "jpeg")):
        samples = KaggleTable(root=root, train_images=folder).open().train
        start = time.perf_counter()
        images = decode(samples, np.arange(len(samples)), how)
        found[f"decode {kind}"] = len(samples) / (time.perf_counter() - start)
    steps = Steps(case)
    batches = Batches(images, {"activity": samples.target}, batch, 0)
    found["batches"] = _rate(batches.iterate(), batch, seconds)
    found["batches and put"] = _rate(prefetch(batches.iterate(), steps.layout.put_batch), batch, seconds)
    found["step, resident batch"] = _step_rate(steps, itertools.repeat(steps.batch), seconds)
    fed = prefetch(batches.iterate(), steps.layout.put_batch)
    found["step, fed"] = _step_rate(steps, fed, seconds)
    print(json.dumps(found))


def _rate(batches: Iterator[Any], batch: int, seconds: float) -> float:
    """images/s of taking batches for so long, the first one not counted."""
    next(batches)
    start, taken = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        last = next(batches)
        taken += 1
    jax.block_until_ready(last)
    return taken * batch / (time.perf_counter() - start)


def _step_rate(steps: Any, batches: Iterator[Any], seconds: float) -> float:
    """images/s of updates: as many as fill `seconds`, after three that do not count."""
    steps.train_on(itertools.islice(batches, 2))
    start = time.perf_counter()
    steps.train_on(itertools.islice(batches, 1))
    count = max(2, round(seconds / (time.perf_counter() - start)))
    start = time.perf_counter()
    steps.train_on(itertools.islice(batches, count))
    return count * steps.case["batch"] / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
