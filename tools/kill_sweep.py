"""A sweep over two workers of which one is killed again and again: no trial lost, done twice, or otherwise than alone.

    python tools/kill_sweep.py FOLDER [--trials 30] [--kills 5] [--storage URL]

Workers are two processes of `jaxlab sweep` in one directory. One of them is ended by SIGKILL at a random moment and
started again, `--kills` times. At the end every trial must be listed once and complete, its epochs each recorded once,
and the parameters of all its checkpoints those of the same settings trained alone, bit for bit.
"""

import argparse
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

CONFIG = '''"""A small network on random images, {epochs} epochs."""

from jaxlab.data import Arrays, Flip, Shift
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.models import ShallowCNN
from jaxlab.optim import AdamW, Cosine

experiment = Experiment(
    data=Arrays(root={root!r}),
    augment=(Flip(), Shift(pixels=2)),
    model=ShallowCNN(channels=(4, 6), kernel_sizes=(3, 3), dropout=0.2),
    head=Linear(layer="level2", dropout=0.2),
    optimizer=AdamW(lr=1e-2, schedule=Cosine(warmup_steps=2)),
    training=Training(epochs={epochs}, batch_size=8, checkpoint_steps=3, ema=0.9),
)
'''
OVER = ("optimizer.lr=log(1e-4,1e-1)", "head.dropout=uniform(0,0.5)", "training.batch_size=4,8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--storage")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.folder.mkdir(parents=True)
    config, run = given.folder / "config.py", given.folder / "run"
    config.write_text(CONFIG.format(root=str(_images(given.folder)), epochs=given.epochs), "utf-8")
    command = _command(config, run, given)
    killed = _worked(command, given.folder, run, given.kills, random.Random(given.seed))
    print(f"{len(killed)} kills: {'; '.join(killed)}")
    _check(config, run, given)


def _images(folder: Path) -> Path:
    """128 images and 5 targets that depend on them."""
    rng = np.random.default_rng(7)
    images = rng.integers(0, 256, (128, 16, 16, 3), dtype=np.uint8)
    pooled = images.reshape(128, 4, 4, 4, 4, 3).mean((2, 4)).reshape(128, -1) / 255 - 0.5
    targets = (10 + 5 * pooled @ rng.normal(size=(48, 5)) + rng.normal(size=(128, 5))).astype(np.float32)
    np.savez(folder / "arrays.npz", images=images, targets=targets)
    return folder.absolute() / "arrays.npz"


def _command(config: Path, run: Path, given: argparse.Namespace) -> list[str]:
    program = "import sys; from jaxlab.cli.main import main; main(sys.argv[1:])"
    over = [part for one in OVER for part in ("--over", one)]
    options = ["--trials", str(given.trials), "--pruner", "none", "--run", str(run)]
    storage = ["--storage", given.storage] if given.storage else []
    return [sys.executable, "-c", program, "sweep", str(config), *over, *options, *storage]


def _worked(command: list[str], folder: Path, run: Path, kills: int, chance: random.Random) -> list[str]:
    """Both workers to their end; what each kill met."""
    logs = [(folder / f"worker{number}.log").open("ab") for number in range(2)]
    started = [subprocess.Popen(command, stdout=log, stderr=log) for log in logs]
    killed = []
    while len(killed) < kills:
        began, left = time.monotonic(), chance.uniform(6, 25)
        while time.monotonic() - began < left and started[0].poll() is None:
            time.sleep(0.05)
        if started[0].poll() is not None:
            break
        started[0].kill()
        started[0].wait()
        killed.append(f"after {left:.1f} s, {len(list(run.glob('trial*/trial.json')))} trials begun")
        started[0] = subprocess.Popen(command, stdout=logs[0], stderr=logs[0])
    for number, one in enumerate(started):
        assert one.wait() == 0, (folder / f"worker{number}.log").read_text("utf-8")[-3000:]
    return killed


def _check(config: Path, run: Path, given: argparse.Namespace) -> None:
    import jaxlab

    jaxlab.prepare()  # as the command does: as many devices, and so the same order of sums
    from rich.console import Console

    from jaxlab.core.config import load_file
    from jaxlab.experiment.search import searching
    from jaxlab.runs.search import records
    from jaxlab.runs.search.ledger import Ledger
    from jaxlab.runs.search.params import settings
    from jaxlab.training import journal
    from jaxlab.training.checkpoint import saved
    from jaxlab.training.rundir import RunDirectory

    search = searching(load_file(config), OVER, trials=given.trials, pruner="none", storage=given.storage)
    listed = Ledger(search, RunDirectory(run)).listed()
    assert [one.number for one in listed] == list(range(given.trials)), "a trial is lost"
    assert {one.state.name for one in listed} == {"COMPLETE"}, [one.state.name for one in listed]
    trials = records.trials_in(run)
    assert len(trials) == given.trials == len(list(run.glob("trial[0-9]*")))
    assert [one.params for one in trials] == [one.params for one in listed]
    compared = 0
    for trial in trials:
        inside = RunDirectory(run / trial.name)
        epochs = [record["epoch"] for record in journal.read(inside.metrics, "validation")]
        assert epochs == list(range(1, given.epochs + 1)), (trial.name, epochs)
        alone = given.folder / "alone" / trial.name
        variant = search.variant(settings(search.space, trial.params))
        jaxlab.train(variant, alone, console=Console(quiet=True))
        pairs = zip(saved(inside.checkpoints), saved(alone / "checkpoints"), strict=True)
        for one, other in pairs:
            assert one.step == other.step
            for field, named in one.arrays().items():
                for name, leaf in other.arrays()[field].items():
                    np.testing.assert_array_equal(
                        named[name], leaf, f"{trial.name} {one.step} {field} {name}"
                    )
                    compared += 1
    print(
        f"{len(trials)} trials, each listed, complete and trained once; {compared} arrays equal those trained alone"
    )


if __name__ == "__main__":
    main()
