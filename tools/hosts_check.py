"""Several processes on this machine train as one, and are held to what one process trains.

    python tools/hosts_check.py [--processes 2 4] [--devices 4] [--folder FOLDER]
                                [--parallel data fsdp features launchers]

With each count, and parameters on every device or in parts: the losses of all steps and the parameters at the end,
beside those of one process with all devices. Then, with the first count: in parts, a run that was stopped and is gone
on with by one process, on all devices and on one; whole, a signal to the last process, a process killed, and the run
gone on with by one process. And, as "features", a network on cached features and a ridge regression, whose features
the processes make together, the regression killed while it is fitted, too. And, as "launchers", processes that Slurm's
or Open MPI's variables alone tell of one another. Prints a line for each, and ends with code 1 where one is not as it
should be.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from submit import Predictions

CONFIG = """
from jaxlab.data import Flip, RandomSplit, Shift, Simulated
from jaxlab.experiment import Experiment, Training
from jaxlab.models import ShallowCNN

experiment = Experiment(
    data=Simulated(images=80, test_images=8, neurons=1024, size=16),  # so many that a readout stays in parts
    split=RandomSplit(validation=0.2),
    augment=(Flip(), Shift(pixels=2)),
    model=ShallowCNN(channels=(8, 16), kernel_sizes=(3, 3), dropout=0.2),
    training=Training(epochs=6, batch_size=8, checkpoint_steps=3, ema=0.9, parallel="data"),
)
"""
FEATURES = """
from jaxlab.data import Images, KFold, Simulated
from jaxlab.encode import CachedFeatures, ImageEncoder, Ridge
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.models import Features, LeNet5

data = Simulated(images=1600, test_images=8, neurons=9, size=32)
encoders = (ImageEncoder(model=LeNet5(), images=Images(size=(32, 32)), layers=("level2", "fc1")),)
network = Experiment(
    data=CachedFeatures(data=data, encoders=encoders),
    model=Features(),
    head=Linear(layer="fc1"),
    training=Training(steps=40, batch_size=64, parallel="data"),
)
ridge = Ridge(
    data=data, encoders=encoders, combine="best", limit=600, blur=(0.0, 0.2), split=KFold(folds=3),
    alphas=(10.0, 100.0, 1000.0),  # smaller ones magnify what rounding leaves of features made on other devices
)
experiment = {name}
"""
TOLERANCE = 1e-5  # of losses relative, of parameters absolute: sums in another order
PARTS = ["data", "fsdp", "features", "launchers"]
BOUND = 90.0  # seconds in which those end that are left


def slurm(process: int, count: int) -> dict[str, str]:
    """What srun sets in each task."""
    found = {
        "JOB_ID": 4711,
        "STEP_NODELIST": "localhost",
        "NTASKS": count,
        "PROCID": process,
        "LOCALID": process,
    }
    return {f"SLURM_{name}": str(value) for name, value in found.items()}


def open_mpi(process: int, count: int) -> dict[str, str]:
    """What mpirun sets in each process."""
    found = {"COMM_WORLD_SIZE": count, "COMM_WORLD_RANK": process, "COMM_WORLD_LOCAL_RANK": process}
    found |= {"MCA_orte_hnp_uri": "1531576320.0;tcp://127.0.0.1:34911"}
    return {f"OMPI_{name}": str(value) for name, value in found.items()}


@dataclass(frozen=True)
class Case:
    """How a run is trained: its layout, the devices of all processes together, and its config file's name.

    launcher: (process, of how many) -> variables that say so to `--coordinator auto`, in place of options.
    """

    folder: Path
    devices: int
    settings: tuple[str, ...] = ()
    config: str = "config"
    launcher: Callable[[int, int], dict[str, str]] | None = None

    def started(self, run: str, count: int) -> list[subprocess.Popen[bytes]]:
        """So many processes that train one run, with a cache of its own. What each says goes to a file beside it."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        env = {
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            "JAX_NUM_CPU_DEVICES": str(self.devices // count),
            "JAXLAB_REGISTRY": "off",
            "JAXLAB_CACHE": str(self.folder / f"{run}.cache"),
        }
        command = [sys.executable, "-m", "jaxlab", "train", str(self.folder / f"{self.config}.py")]
        command += [
            "--run",
            str(self.folder / run),
            *(part for one in self.settings for part in ("--set", one)),
        ]
        found = []
        for k in range(count):
            where = ["--coordinator", f"127.0.0.1:{port}", "--processes", str(count), "--process", str(k)]
            if self.launcher is not None:
                where = ["--coordinator", "auto"]
                env = {**env, "JAX_COORDINATOR_PORT": str(port), **self.launcher(k, count)}
            said = (self.folder / f"{run}.{k}.txt").open("ab")
            found.append(subprocess.Popen([*command, *where], env=env, stdout=said, stderr=subprocess.STDOUT))
        return found

    def trained(self, run: str, count: int = 1) -> list[int]:
        return ended(self.started(run, count))


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


def fits_apart(run: Path, expected: Path) -> float:
    """The largest difference of out-of-fold predictions, in units of their standard deviation."""
    mine, theirs = (Predictions.load(each / "predictions/out_of_fold.npz").values for each in (run, expected))
    return float(np.abs(mine - theirs).max() / theirs.std())


def wait_for(run: Path, pattern: str, within: float = 300) -> None:
    until = time.monotonic() + within
    while not list(run.glob(pattern)) and time.monotonic() < until:
        time.sleep(0.02)


class Check:
    """What is held to the run of one process, and whether all of it was right."""

    def __init__(self, folder: Path, devices: int, counts: Sequence[int]):
        self.folder, self.devices, self.counts, self.good = folder, devices, counts, True
        self.one = Case(folder, devices)

    def tell(self, what: str, right: bool) -> None:
        self.good &= right
        print(f"{'ok ' if right else 'NOT'} {what}", flush=True)

    def compare(self, run: str, what: str, one: str = "one") -> None:
        loss, worst = apart(self.folder / run, self.folder / one)
        self.tell(
            f"{what}: losses within {loss:.1e}, parameters within {worst:.1e}", max(loss, worst) < TOLERANCE
        )

    def together(self, case: Case, run: str, count: int, title: str) -> None:
        codes = case.trained(run, count)
        self.tell(f"{title} end with codes {codes}", codes == [0] * count)
        self.compare(run, f"{title} beside one")

    def stopped(self, case: Case, run: str, sent: int, victim: int, title: str) -> None:
        """A run that ends early because of what is sent to one of its processes."""
        count = self.counts[0]
        processes = case.started(run, count)
        wait_for(self.folder / run, "checkpoints/[0-9]/manifest.json")
        processes[victim].send_signal(sent)
        began = time.monotonic()
        codes = ended(processes, BOUND)
        expected = [75 if k != victim or sent == signal.SIGTERM else -sent for k in range(count)]
        self.tell(f"{title}: codes {codes} after {time.monotonic() - began:.0f} s", codes == expected)

    def gone_on(self, case: Case, run: str, title: str) -> None:
        self.tell(f"{title} goes on", case.trained(run) == [0])
        self.compare(run, f"{title}, gone on")

    def whole(self) -> None:
        """Parameters on every device."""
        for count in self.counts:
            self.together(self.one, f"of{count}", count, f"{count} processes")
        last = self.counts[0] - 1
        for name, sent, victim in (("SIGTERM", signal.SIGTERM, last), ("SIGKILL", signal.SIGKILL, last),
                                   ("SIGKILL of process 0", signal.SIGKILL, 0)):  # fmt: skip
            run = name.replace(" ", "-")
            self.stopped(self.one, run, sent, victim, name)
            self.gone_on(self.one, run, f"{name}: one process")

    def in_parts(self) -> None:
        """Parameters in parts, over some of the devices and over all."""
        parts = ("training.parallel=fsdp",)
        for mesh in ([2, self.devices // 2], [1, self.devices]):
            settings = (*parts, f"training.mesh={json.dumps(mesh)}")
            for count in self.counts:
                name = f"fsdp{mesh[0]}{mesh[1]}"
                title = f"{count} processes with fsdp over {mesh[1]} of {self.devices} devices"
                self.together(Case(self.folder, self.devices, settings), f"{name}-of{count}", count, title)
        self.stopped(Case(self.folder, self.devices, parts), "parts", signal.SIGTERM, 0, "SIGTERM, fsdp")
        for devices, settings in ((self.devices, parts), (1, parts), (1, ("training.parallel=single",))):
            run = f"parts-{devices}-{settings[-1].rpartition('=')[2]}"
            shutil.copytree(self.folder / "parts", self.folder / run)
            title = f"one process with {devices} devices and {settings[-1]}"
            self.gone_on(Case(self.folder, devices, settings), run, title)

    def launchers(self) -> None:
        """`--coordinator auto`, in the environment that launchers make."""
        count = self.counts[0]
        for launcher in (slurm, open_mpi):
            name = launcher.__name__
            case = Case(self.folder, self.devices, launcher=launcher)
            self.together(case, name, count, f"{count} processes as in {name}, --coordinator auto,")

    def features(self) -> None:
        """A network on cached features, and a ridge regression."""
        for name in ("network", "ridge"):
            (self.folder / f"{name}.py").write_text(FEATURES.replace("{name}", name), "utf-8")
            case = Case(self.folder, self.devices, config=name)
            self.tell(f"{name} on features: one process", case.trained(name) == [0])
            for count in self.counts:
                run, title = f"{name}{count}", f"{name} on features, {count} processes"
                codes = case.trained(run, count)
                self.tell(f"{title} end with codes {codes}", codes == [0] * count)
                self.compare(run, title, name) if name == "network" else self.compare_fit(run, title)
        for victim in (self.counts[0] - 1, 0):
            run, title = f"ridge-without-{victim}", f"ridge, process {victim} killed as it fits"
            processes = case.started(run, self.counts[0])
            wait_for(self.folder / run, "fitting/*/1-*")
            processes[victim].kill()
            codes = ended(processes, BOUND)
            expected = [75 if k != victim else -signal.SIGKILL for k in range(self.counts[0])]
            self.tell(f"{title}: codes {codes}", codes == expected)
            self.tell(f"{title}: one process fits it then", case.trained(run) == [0])
            self.compare_fit(run, title)

    def compare_fit(self, run: str, what: str) -> None:
        worst = fits_apart(self.folder / run, self.folder / "ridge")
        self.tell(f"{what}: predictions within {worst:.1e}", worst < TOLERANCE)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--devices", type=int, default=4, help="of all processes together")
    parser.add_argument("--parallel", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="jaxlab-hosts-"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.py").write_text(CONFIG, "utf-8")
    check = Check(folder, options.devices, options.processes)
    if set(options.parallel) - {"features"}:
        check.tell("one process", check.one.trained("one") == [0])
    if "features" in options.parallel:
        check.features()
    if "data" in options.parallel:
        check.whole()
    if "fsdp" in options.parallel:
        check.in_parts()
    if "launchers" in options.parallel:
        check.launchers()
    sys.exit(0 if check.good else 1)


if __name__ == "__main__":
    main()
