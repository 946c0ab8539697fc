"""Two real trainings, three real watchers that are killed at random: every snapshot is validated, none by two at once.

    python tools/watchers_check.py FOLDER [--epochs 12] [--kills 9] [--registry postgresql+psycopg://...] [--seed 0]

Processes of `jaxlab train` with `training.validate="elsewhere"` and of `jaxlab evaluate --pending FOLDER --watch`, as
people type them. Watchers are ended by SIGKILL at random moments and started again. At the end each snapshot must have
one validation, with the scores that the same training found where it validated itself, and the best must be the same.
tools/kill_watchers.py asks the same of the registry alone, many more times.
"""

import argparse
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

CONFIG = '''"""A small network on random images."""

from jaxlab.data import Arrays, Shift
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.models import ShallowCNN
from jaxlab.optim import AdamW

experiment = Experiment(
    data=Arrays(root={root!r}),
    augment=(Shift(pixels=2),),
    model=ShallowCNN(channels=(16, 32), kernel_sizes=(5, 3), dropout=0.1),
    head=Linear(layer="level2"),
    optimizer=AdamW(lr=3e-3),
    training=Training(epochs={epochs}, batch_size=16, ema=0.9),
)
'''
SEEDS = {"a": 0, "b": 1}


def jaxlab(*arguments: object, log: Path) -> "subprocess.Popen[bytes]":
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "jaxlab", *map(str, arguments)], stdout=file, stderr=file
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    for name, default in (("epochs", 12), ("kills", 9), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--registry", default="")
    given = parser.parse_args()
    folder = given.folder.absolute()
    runs, logs, config = folder / "runs", folder / "logs", folder / "config.py"
    for made in (folder, runs, logs):
        made.mkdir()
    config.write_text(CONFIG.format(root=str(_images(folder)), epochs=given.epochs), "utf-8")
    killed = _watched(config, runs, logs, given)
    alone = [
        jaxlab("train", config, "--run", folder / "alone" / name, "--set", f"seed={seed}", log=logs / "alone")
        for name, seed in SEEDS.items()
    ]
    assert [one.wait() for one in alone] == [0, 0], logs / "alone"
    wrong = [fault for name in SEEDS for fault in faults(runs / name, folder / "alone" / name, given.epochs)]
    said = Counter(re.findall(r"^(?:runs/)?([ab]) step (\d+):", _all(logs, "watcher*"), re.MULTILINE))
    wrong += [f"{run} {step} was kept {count} times" for (run, step), count in said.items() if count > 1]
    print(f"{2 * given.epochs} snapshots, {killed} watchers killed")
    print(
        "\n".join(wrong)
        or "each is validated once, as the training itself would have, and the best are the same"
    )
    sys.exit(bool(wrong))


def _images(folder: Path) -> Path:
    """320 images and 5 targets that depend on them."""
    rng = np.random.default_rng(7)
    images = rng.integers(0, 256, (320, 32, 32, 3), dtype=np.uint8)
    pooled = images.reshape(320, 4, 8, 4, 8, 3).mean((2, 4)).reshape(320, -1) / 255 - 0.5
    targets = (10 + 9 * pooled @ rng.normal(size=(48, 5)) + rng.normal(size=(320, 5))).astype(np.float32)
    np.savez(folder / "arrays.npz", images=images, targets=targets)
    return folder / "arrays.npz"


def _watched(config: Path, runs: Path, logs: Path, given: argparse.Namespace) -> int:
    """Both trainings and all validations to their end; how many watchers were killed."""
    registry = ["--registry", given.registry] if given.registry else []
    chance = random.Random(given.seed)

    def watcher(number: int) -> "subprocess.Popen[bytes]":
        return jaxlab("evaluate", "--pending", runs, "--watch", *registry, log=logs / f"watcher{number}")

    settings = ["--set", "training.validate='elsewhere'"]
    trainers = [
        jaxlab("train", config, "--run", runs / name, *settings, "--set", f"seed={seed}", log=logs / name)
        for name, seed in SEEDS.items()
    ]
    watchers = [watcher(number) for number in range(3)]
    killed = 0
    while killed < given.kills:
        time.sleep(chance.uniform(4, 12))
        number = chance.randrange(3)
        watchers[number].send_signal(signal.SIGKILL)
        watchers[number].wait()
        killed += 1
        watchers[number] = watcher(number)
    assert [one.wait() for one in trainers] == [0, 0], [
        (logs / name).read_text("utf-8")[-2000:] for name in SEEDS
    ]
    until = time.monotonic() + 600
    while time.monotonic() < until and any(_left(runs / name, given.epochs) for name in SEEDS):
        time.sleep(0.5)
    for one in watchers:
        one.send_signal(signal.SIGTERM)
    assert [one.wait() for one in watchers] == [0, 0, 0], _all(logs, "watcher*")[-3000:]
    return killed


def _left(run: Path, epochs: int) -> int:
    return epochs - len(list((run / "validations").glob("[0-9]*.json")))


def faults(run: Path, alone: Path, epochs: int) -> list[str]:
    """What is not as where the training validated itself."""
    from jaxlab.runs.api import load
    from jaxlab.training import journal
    from jaxlab.training.rundir import RunDirectory

    found, there = (
        {record["step"]: record for record in journal.read(RunDirectory(one).metrics, "validation")}
        for one in (run, alone)
    )
    wrong = [f"{run.name}: {len(found)} of {epochs} are validated"] if len(found) != epochs else []
    if found.keys() != there.keys():
        return [*wrong, f"{run.name}: steps {sorted(found)} beside {sorted(there)}"]
    for step, record in found.items():
        for score, value in there[step].items():
            if isinstance(value, float) and not np.isclose(record[score], value, rtol=1e-5, atol=1e-6):
                wrong.append(f"{run.name} step {step}: {score} {record[score]} beside {value}")
    best, own = (load(one).checkpoint("best").step for one in (run, alone))
    return wrong if best == own else [*wrong, f"{run.name}: the best is {best}, not {own}"]


def _all(logs: Path, pattern: str) -> str:
    return "".join(file.read_text("utf-8") for file in sorted(logs.glob(pattern)))


if __name__ == "__main__":
    main()
