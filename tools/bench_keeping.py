"""What checkpoints cost a training, and what registry, reports and watching do: steps in turn, in one process.

    python tools/bench_keeping.py [--model shallow_cnn] [--size 56] [--batch 50] [--steps 400] [--rounds 5]

Each round trains the same network once each way: without anything kept before the end; with a checkpoint every 100
steps; and with that, and registry, reports and the watch for what is amiss. Timed are the steps after the first 50 up
to the last one: neither compiling nor validation, but all that lies between. What is shown is the median over rounds
of the ratio within a round, and each round's.
"""

import argparse
import contextlib
import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

WARM, EVERY = 50, 100
WAYS = ("nothing", "checkpoints", "everything")


class Unwatched:
    """In a monitor's place: it looks at nothing."""

    place = (0, 1)

    def __init__(self, notices: Any = None):
        self.notices = notices

    def __enter__(self) -> "Unwatched":
        return self

    def __exit__(self, *_: object) -> None: ...

    def fed(self, batches: Iterator[Any]) -> Iterator[Any]:
        return batches

    def step(self, *_: Any, **__: Any) -> Any:
        return contextlib.nullcontext()

    def gradient(self, *_: Any) -> None: ...

    def end_epoch(self) -> None: ...


def experiment(folder: Path, model: str, size: int, batch: int, steps: int) -> Any:
    """One epoch of so many steps, on noise."""
    import jaxlab
    from jaxlab.data import Arrays, RandomSplit
    from jaxlab.experiment import Experiment, Training
    from jaxlab.heads import Linear

    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (steps * batch + batch, size, size, 3), np.uint8)
    targets = rng.normal(size=(len(images), 40)).astype(np.float32)
    np.savez(folder / "arrays.npz", images=images, targets=targets, test_images=images[:1])
    built = {
        "shallow_cnn": lambda: jaxlab.models.ShallowCNN(channels=(32, 64, 64), kernel_sizes=(7, 3, 3)),
        "resnet18": lambda: jaxlab.models.ResNet(depth=18),
        "resnet50": lambda: jaxlab.models.ResNet(depth=50),
    }[model]
    return Experiment(
        data=Arrays(root=str(folder / "arrays.npz")),
        split=RandomSplit(validation=batch / len(images)),
        model=built(),
        head=Linear(),
        training=Training(epochs=1, batch_size=batch),
    )


def seconds_a_step(config: Any, folder: Path, way: str) -> float:
    """Of one training, one of WAYS."""
    from dataclasses import replace

    from rich.console import Console

    from jaxlab.runs import api
    from jaxlab.runs.network import train
    from jaxlab.training.journal import Journal

    at: dict[int, float] = {}
    write = Journal.write

    def timed(self: Journal, step: int, epoch: int, split: str, values: dict[str, float]) -> None:
        write(self, step, epoch, split, values)
        if split == "step":
            at[step] = time.perf_counter()

    if way != "nothing":
        config = replace(config, training=replace(config.training, checkpoint_steps=EVERY))
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(Journal, "write", timed))
        if way != "everything":
            stack.enter_context(mock.patch.object(train, "Monitor", Unwatched))
            stack.enter_context(mock.patch.dict(os.environ, JAXLAB_REGISTRY="off"))
        with tempfile.TemporaryDirectory(dir=folder) as runs:
            api.train(config, Path(runs) / "run", console=Console(file=io.StringIO()))
    last = max(at)
    return (at[last] - at[WARM]) / (last - WARM)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", choices=["shallow_cnn", "resnet18", "resnet50"], default="shallow_cnn")
    for name, default in {"size": 56, "batch": 50, "steps": 400, "rounds": 5}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    if asked.steps <= WARM + EVERY:
        parser.error(f"--steps: expected more than {WARM + EVERY}, found {asked.steps}")
    import jaxlab

    jaxlab.prepare()
    took: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as place:
        config = experiment(Path(place), asked.model, asked.size, asked.batch, asked.steps)
        seconds_a_step(config, Path(place), "everything")  # compiled, and the disk is awake
        for number in range(asked.rounds):
            for way in WAYS[number % len(WAYS) :] + WAYS[: number % len(WAYS)]:  # each first in turn
                took[way].append(seconds_a_step(config, Path(place), way))
    ratios = {
        "checkpoints every 100 steps against none": [
            a / b for a, b in zip(took["nothing"], took["checkpoints"], strict=True)
        ],
        "registry, reports and watching on against off": [
            a / b for a, b in zip(took["checkpoints"], took["everything"], strict=True)
        ],
    }
    for way, each in took.items():
        print(
            f"{way:<12} {1e3 * statistics.median(each):8.2f} ms a step, {' '.join(f'{1e3 * one:.2f}' for one in each)}"
        )
    for name, each in ratios.items():
        print(f"{name}: {statistics.median(each):.3f}, {' '.join(f'{one:.3f}' for one in each)}")
    if asked.json is not None:
        asked.json.write_text(
            json.dumps({"asked": vars(asked) | {"json": None}, "seconds": took, "ratios": ratios}, indent=1),
            "utf-8",
        )


if __name__ == "__main__":
    main()
