"""Networks and remedies against overfitting on simulated gestures, one after the other: a run for each and each seed.

    python tools/gesture_ladder.py FOLDER --seeds 5
    python tools/gesture_ladder.py FOLDER --seeds 1 --only lenet5 plain

FOLDER holds a run for each rung and seed, and its scores; killed and started again, it trains what is missing. A seed
draws both the images and the first parameters. Scores are those of the last checkpoint, which nothing chose: accuracy
in training, in validation and on the test images, and of these F1 of each class and, over all seeds, what was confused.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import jaxlab
from jaxlab.core.config import load_file
from jaxlab.data import BoxBlur, Gestures
from jaxlab.data.simulation.hands import GESTURES
from jaxlab.experiment import Experiment
from jaxlab.losses import CrossEntropy
from jaxlab.models import ShuffleNetV2
from submit import figures
from submit.files.atomic import atomic
from submit.metrics.classification import accuracy, confusion_matrix, rates

CONFIGS = Path(__file__).parents[1] / "configs"
NETWORKS = ("lenet5", "shufflenet_x0_5", "shufflenet_x1_0", "resnet18")
PIPELINE: Any = load_file(CONFIGS / "gesture_pipeline.py")
Change = Callable[[Experiment], Experiment]


def _optimizer(**fields: Any) -> Change:
    return lambda one: replace(one, optimizer=replace(one.optimizer, **fields))


# What each rung adds to the one before it, from the pipeline without any of it on.
REMEDIES: dict[str, Change] = {
    "plain": lambda one: replace(
        one,
        balance=None,
        augment=(),
        model=ShuffleNetV2(width=0.5),
        loss=CrossEntropy(),
        optimizer=replace(one.optimizer, l2=0.0),
    ),
    "blur9": lambda one: replace(one, augment=(BoxBlur(radius=8),)),
    "blur4": lambda one: replace(one, augment=(BoxBlur(radius=3),)),
    "smoothed": lambda one: replace(one, loss=PIPELINE.loss),
    "blurpool": lambda one: replace(one, model=PIPELINE.model),
    "l2": _optimizer(l2=PIPELINE.optimizer.l2),
    "balanced": lambda one: replace(one, balance=PIPELINE.balance),
    "sam": _optimizer(sam=0.05),
}


def rungs() -> dict[str, Experiment]:
    """{name: experiment} of all networks, then of the remedies, each with those before it."""
    found: dict[str, Any] = {name: load_file(CONFIGS / f"gesture_{name}.py") for name in NETWORKS}
    one = PIPELINE
    for name, change in REMEDIES.items():
        found[name] = one = change(one)
    return found


def measured(experiment: Any, seed: int, run: Path) -> None:
    """Train, unless it was, and keep scores of the last checkpoint and the (5, 5) confusions of test images."""
    source = Gestures(imbalance=experiment.data.simulated.imbalance, seed=seed)
    jaxlab.train(
        replace(experiment, data=replace(experiment.data, simulated=source), seed=seed), run, name=run.name
    )
    records = map(json.loads, (run / "metrics.jsonl").read_text("utf-8").splitlines())
    last = {record["split"]: record for record in records}
    test = source.open().test
    assert test is not None
    predicted = jaxlab.load(run).predict_split("test", "last").values.argmax(1)
    confused, _ = confusion_matrix(predicted, np.asarray(test.label), np.arange(len(GESTURES)))
    found = {split: last[split]["accuracy"] for split in ("train", "validation")}
    found |= {"test": accuracy(predicted, np.asarray(test.label)), "confused": confused.tolist()}
    with atomic(run.with_suffix(".json")) as file:
        file.write(json.dumps(found).encode())


def show(name: str, rows: list[dict[str, Any]], picture: Path) -> None:
    """A line: means over seeds and their standard deviations; and what was confused, of all seeds, as a picture."""
    parts = [name, str(len(rows))]
    for split in ("train", "validation", "test"):
        values = np.array([row[split] for row in rows])
        spread = f" ± {values.std(ddof=1):.3f}" if len(rows) > 1 else ""
        parts.append(f"{values.mean():.3f}{spread}")
    each = []
    for counts in (np.array(row["confused"]) for row in rows):
        each.append(rates(counts.diagonal(), counts.sum(0), counts.sum(1))[2])
    by_class = np.mean(each, axis=0)
    print(" | ".join([*parts, f"{by_class.mean():.3f}", *(f"{value:.2f}" for value in by_class)]), flush=True)
    figures.confusion(np.sum([row["confused"] for row in rows], axis=0), GESTURES, picture)


def main() -> None:
    """Train what is missing, and print a table of what is there."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5, help="0 to show what is there.")
    parser.add_argument("--only", nargs="*", default=list(rungs()), choices=list(rungs()), metavar="RUNG")
    given = parser.parse_args()
    jaxlab.prepare()
    for seed in range(given.seeds):
        for name in given.only:
            run = given.folder / f"{name}-seed{seed}"
            if not run.with_suffix(".json").is_file():
                measured(rungs()[name], seed, run)
    print(" | ".join(["rung", "seeds", "train", "validation", "test", "F1 macro", *GESTURES]))
    for name in given.only:
        known = sorted(given.folder.glob(f"{name}-seed*.json"))
        if rows := [json.loads(file.read_text("utf-8")) for file in known]:
            show(name, rows, given.folder / f"{name}.png")


if __name__ == "__main__":
    main()
