"""Several processes on this machine train as one, and are held to what one process trains.

    python tools/hosts_check.py [--processes 2 4] [--devices 4] [--folder FOLDER]

With each count: the losses of all steps and the parameters at the end, beside those of one process with all devices;
then, with the first count, a signal to the last process, a process killed, and the run gone on with by one process.
Prints a line for each, and ends with code 1 where one is not as it should be.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CONFIG = """
from jaxlab.data import Flip, RandomSplit, Shift, Simulated
from jaxlab.experiment import Experiment, Training
from jaxlab.models import ShallowCNN

experiment = Experiment(
    data=Simulated(images=80, test_images=8, neurons=5, size=16),
    split=RandomSplit(validation=0.2),
    augment=(Flip(), Shift(pixels=2)),
    model=ShallowCNN(channels=(4, 6), kernel_sizes=(3, 3), dropout=0.2),
    training=Training(epochs=6, batch_size=8, checkpoint_steps=3, ema=0.9, parallel="data"),
)
"""
TOLERANCE = 1e-5  # of losses relative, of parameters absolute: sums in another order
BOUND = 90.0  # seconds in which those end that are left


def started(folder: Path, run: str, count: int, devices: int) -> list[subprocess.Popen[bytes]]:
    """So many processes that train one run. What each says goes to a file beside it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {
        **os.environ,
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": str(devices // count),
        "JAXLAB_REGISTRY": "off",
    }
    command = [sys.executable, "-m", "jaxlab", "train", str(folder / "config.py"), "--run", str(folder / run)]
    where = ["--coordinator", f"127.0.0.1:{port}", "--processes", str(count), "--process"]
    found = []
    for k in range(count):
        said = (folder / f"{run}.{k}.txt").open("wb")
        found.append(
            subprocess.Popen([*command, *where, str(k)], env=env, stdout=said, stderr=subprocess.STDOUT)
        )
    return found


def ended(processes: list[subprocess.Popen[bytes]], within: float = 600) -> list[int]:
    """Their exit codes; those that take longer are killed."""
    until = time.monotonic() + within
    for one in processes:
        try:
            one.wait(max(until - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            one.kill()
    return [one.wait() for one in processes]


def losses(run: Path) -> dict[int, float]:
    lines = (run / "metrics.jsonl").read_text("utf-8").splitlines()
    return {one["step"]: one["loss"] for one in map(json.loads, lines) if one["split"] == "step"}


def apart(run: Path, expected: Path) -> tuple[float, float]:
    """The largest relative difference of losses, and absolute of parameters at the end; of other steps infinite."""
    from jaxlab.training.checkpoint import saved

    mine, theirs = losses(run), losses(expected)
    if mine.keys() != theirs.keys():
        return np.inf, np.inf
    a, b = (saved(each / "checkpoints")[-1].arrays(("params",))["params"] for each in (run, expected))
    worst = max(float(np.abs(a[name] - b[name]).max()) for name in b)
    return max(abs(mine[step] / theirs[step] - 1) for step in theirs), worst


def wait_for_checkpoint(run: Path, within: float = 300) -> None:
    until = time.monotonic() + within
    while not list(run.glob("checkpoints/[0-9]/manifest.json")) and time.monotonic() < until:
        time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--devices", type=int, default=4, help="of all processes together")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="jaxlab-hosts-"))
    (folder / "config.py").write_text(CONFIG, "utf-8")
    whole, good = folder / "one", True

    def tell(what: str, right: bool) -> None:
        nonlocal good
        good &= right
        print(f"{'ok ' if right else 'NOT'} {what}", flush=True)

    def compare(run: str, what: str) -> None:
        loss, worst = apart(folder / run, whole)
        tell(f"{what}: losses within {loss:.1e}, parameters within {worst:.1e}", max(loss, worst) < TOLERANCE)

    tell("one process", ended(started(folder, "one", 1, options.devices)) == [0])
    for count in options.processes:
        run = f"of{count}"
        codes = ended(started(folder, run, count, options.devices))
        tell(f"{count} processes end with codes {codes}", codes == [0] * count)
        compare(run, f"{count} processes beside one")
    count = options.processes[0]
    for name, sent, victim in (("SIGTERM", signal.SIGTERM, count - 1), ("SIGKILL", signal.SIGKILL, count - 1),
                               ("SIGKILL of process 0", signal.SIGKILL, 0)):  # fmt: skip
        run = name.replace(" ", "-")
        processes = started(folder, run, count, options.devices)
        wait_for_checkpoint(folder / run)
        processes[victim].send_signal(sent)
        began = time.monotonic()
        codes = ended(processes, BOUND)
        expected = [75 if k != victim or sent == signal.SIGTERM else -sent for k in range(count)]
        tell(f"{name}: codes {codes} after {time.monotonic() - began:.0f} s", codes == expected)
        tell(f"{name}: one process goes on", ended(started(folder, run, 1, options.devices)) == [0])
        compare(run, f"{name}, gone on with by one process")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
