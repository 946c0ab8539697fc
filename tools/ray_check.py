"""A search over two workers of Ray beside one over two plain processes: the same trials, the same parameters.

python tools/ray_check.py [--trials 6] [--keep FOLDER]

Needs Ray (`pip install "jaxlab[ray]"`). Then the command is asked to end in mid-search, and a worker is killed; the
same command goes on. A line for each thing that holds; exit code 1 where one does not.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

CONFIG = """
from jaxlab.data import Images, Simulated
from jaxlab.experiment import Experiment, Search, Training
from jaxlab.experiment.spaces import Log, Uniform
from jaxlab.heads import Linear
from jaxlab.models import ShallowCNN
from jaxlab.optim import AdamW

experiment = Search(
    experiment=Experiment(
        data=Simulated(images=300, test_images=20, neurons=10, size=24),
        images=Images(size=(24, 24)),
        model=ShallowCNN(channels=(8, 16), kernel_sizes=(5, 3), dropout=0.1),
        head=Linear(layer="level2"),
        optimizer=AdamW(lr=1e-3),
        training=Training(epochs=EPOCHS, batch_size=32, parallel="single"),
    ),
    space={"optimizer.lr": Log(1e-4, 1e-2), "head.dropout": Uniform(0.0, 0.5)},
    sampler="random",
    pruner=None,
)
"""
RAY = ("--on", "ray", "--workers", "2")


def command(folder: Path, run: str, trials: int, *more: str) -> list[str]:
    config, place = str(folder / "search.py"), str(folder / run)
    return [sys.executable, "-m", "jaxlab", "sweep", config, "--trials", str(trials), "--run", place, *more]


def start(arguments: list[str], log: Path) -> "subprocess.Popen[bytes]":
    with log.open("ab") as file:
        return subprocess.Popen(arguments, stdout=file, stderr=file)


def ended(*processes: "subprocess.Popen[bytes]") -> list[int]:
    return [process.wait(timeout=1200) for process in processes]


def results(run: Path) -> pd.DataFrame:
    """A row for each trial: settings, score, and the digest of its last parameters."""
    import jaxlab

    table = pd.read_csv(run / "trials.csv")
    table["digest"] = [
        jaxlab.load(run / name).checkpoint("last").meta()["digest"] for name in table["directory"]
    ]
    return table


def workers_of(process: int) -> list[int]:
    """Those under this process that train."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True)
    rows = [line.split() for line in listed.stdout.splitlines()[1:]]
    parents = {int(pid): int(parent) for pid, parent, *_ in rows}

    def under(pid: int) -> bool:
        parent = parents.get(pid)
        return parent is not None and (parent == process or under(parent))

    return [
        int(pid)
        for pid, _, *words in rows
        if "--worker" in words and "--auto-resume" not in words and under(int(pid))
    ]


def wait_for(condition, seconds: float = 300) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.2)
    return False


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--trials", type=int, default=6)
    asked.add_argument("--epochs", type=int, default=10)
    asked.add_argument("--keep", type=Path, help="where the runs and logs stay")
    given = asked.parse_args()
    folder = (given.keep or Path(tempfile.mkdtemp())).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "search.py").write_text(CONFIG.replace("EPOCHS", str(given.epochs)), encoding="utf-8")
    held = True

    def check(what: str, holds: bool) -> None:
        nonlocal held
        held = held and holds
        print(f"{'ok  ' if holds else 'BAD '} {what}", flush=True)

    def same(run: str, what: str) -> None:
        found = results(folder / run)
        check(f"{what}: the same {len(expected)} trials, scores and parameters", found.equals(expected))

    plain = command(folder, "plain", given.trials)
    codes = ended(*(start(plain, folder / f"plain{number}.log") for number in range(2)))
    check(f"two plain processes end with {codes}", codes == [0, 0])
    expected = results(folder / "plain")
    check(f"{given.trials} trials are complete", list(expected["state"]) == ["complete"] * given.trials)

    log = folder / "ray.log"
    codes = ended(start(command(folder, "ray", given.trials, *RAY), log))
    check(f"Ray's two workers end with {codes}", codes == [0])
    same("ray", "over two workers of Ray")

    stopped, log = command(folder, "stopped", given.trials, *RAY), folder / "stopped.log"
    first = start(stopped, log)
    begun = wait_for(lambda: list((folder / "stopped").glob("trial*/checkpoints/*/manifest.json")))
    first.send_signal(signal.SIGTERM)
    codes = ended(first)
    check(f"asked to end by SIGTERM in mid-search: {codes}", begun and codes == [75])
    check("no worker is left over", wait_for(lambda: not workers_of(first.pid), 10))
    codes = ended(start(stopped, log))
    check(f"the same command goes on: {codes}", codes == [0])
    same("stopped", "after SIGTERM")

    killed, log = command(folder, "killed", given.trials, *RAY), folder / "killed.log"
    first = start(killed, log)
    begun = wait_for(lambda: list((folder / "killed").glob("trial*/checkpoints/*/manifest.json")))
    victims = workers_of(first.pid)
    for victim in victims[:1]:
        os.kill(victim, signal.SIGKILL)
    codes = ended(first)
    check(f"a worker killed by SIGKILL is started again: {codes}", begun and bool(victims) and codes == [0])
    same("killed", "after SIGKILL of a worker")
    print(f"runs and logs: {folder}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
