"""A training that moves from one number of devices and one layout to the next, beside one that stays where it is.

    python tools/restores.py [--folder FOLDER]

Each link of the chain is a process with devices of its own: it restores what the one before wrote, is held to it to the
last bit, and trains one epoch more. So does a run of jaxlab 0.1, stopped in mid-epoch, which tests/reference keeps, on
one device and on eight. Prints a line for each, and ends with code 1 where one is not as it should be.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

CONFIG = """
from jaxlab.data import Flip, RandomSplit, Shift, Simulated
from jaxlab.experiment import Experiment, Training
from jaxlab.models import ShallowCNN

experiment = Experiment(
    data=Simulated(images=80, test_images=8, neurons=24, size=16),
    split=RandomSplit(validation=0.2),
    augment=(Flip(), Shift(pixels=2)),
    model=ShallowCNN(channels=(8, 16), kernel_sizes=(3, 3), dropout=0.2),
    training=Training(epochs=5, batch_size=8, ema=0.9),
)
"""
CHAIN = ((4, "pmap"), (1, "single"), (8, "pmap"), (8, "fsdp"), (8, "data"))
TOLERANCE = (
    1e-5  # of parameters at the end, beside the largest change that training made: sums in another order
)
OLD = Path(__file__).parents[1] / "tests/reference/runs_of_0_1.tar.gz"


class Failed(Exception):
    """A process of the chain that failed, with what it said last."""


def link(config: Path, run: Path, devices: int, *settings: str) -> dict[str, Any]:
    """What a process with so many devices found as it restored the run; {} of a new one."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}".strip()
    env = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags, "JAXLAB_REGISTRY": "off"}
    command = [sys.executable, str(Path(__file__).with_name("restores_child.py")), str(config), str(run)]
    done = subprocess.run([*command, *settings], env=env, capture_output=True, encoding="utf-8")
    if done.returncode:
        raise Failed(done.stderr.strip()[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def parameters(run: Path, which: int = -1) -> dict[str, np.ndarray]:
    from jaxlab.training.checkpoint import saved

    return saved(run / "checkpoints")[which].arrays(("params",))["params"]


def apart(mine: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> float:
    """The largest difference of two sets of parameters."""
    return max(float(np.abs(mine[path] - theirs[path]).max()) for path in theirs)


class Check:
    """What came of the links."""

    def __init__(self) -> None:
        self.good = True

    def tell(self, what: str, right: bool) -> None:
        self.good &= right
        print(f"{'ok ' if right else 'NOT'} {what}", flush=True)

    def same(self, title: str, found: dict[str, Any], devices: int, parallel: str) -> None:
        """That what was restored is what was stored, lying as it should."""
        as_asked = (found["devices"], found["parallel"]) == (devices, parallel)
        other = f"; not the same: {', '.join(found['other'])}" if found["other"] else ""
        share = (
            f", {found['held'] / found['whole']:.3f} of the state on a device" if parallel == "fsdp" else ""
        )
        self.tell(
            f"{title}: step {found['step']}, {found['leaves']} arrays the same to the last bit{share}{other}",
            as_asked and not found["other"],
        )

    def ends(self, title: str, difference: float, most: float) -> None:
        self.tell(f"{title}: parameters at the end within {difference:.1e}", difference < most)


def chain(folder: Path, check: Check, links: Sequence[tuple[int, str]] = CHAIN) -> None:
    (config := folder / "config.py").write_text(CONFIG, "utf-8")
    (devices, parallel), *others = links
    moving, still = folder / "moving", folder / "still"
    link(config, still, devices, f"training.epochs={len(links)}", f"training.parallel={parallel}")
    link(config, moving, devices, "training.epochs=1", f"training.parallel={parallel}")
    came = f"{parallel} on {devices}"
    for epochs, (devices, parallel) in enumerate(others, 2):
        found = link(config, moving, devices, f"training.epochs={epochs}", f"training.parallel={parallel}")
        here = f"{parallel} on {devices}"
        check.same(f"{came} -> {here}", found, devices, parallel)
        came = here
    check.ends("the chain beside a run that stayed", apart(parameters(moving), parameters(still)), TOLERANCE)


def old(folder: Path, check: Check) -> None:
    with tarfile.open(OLD) as file:
        file.extractall(folder, filter="data")
    ended = []
    for devices, parallel in ((1, "single"), (8, "data"), (8, "fsdp")):
        run = shutil.copytree(folder / "stopped", folder / f"stopped-{parallel}")
        found = link(folder / "small.py", run, devices, f"training.parallel={parallel}")
        check.same(f"jaxlab 0.1 -> {parallel} on {devices}", found, devices, parallel)
        ended.append(parameters(run))
    for name, mine in zip(("data", "fsdp"), ended[1:], strict=True):
        check.ends(f"jaxlab 0.1, {name} beside single", apart(mine, ended[0]), TOLERANCE)
    check.ends(
        "jaxlab 0.1, single beside what 0.1 itself trained",
        apart(ended[0], parameters(folder / "network")),
        2e-4,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path)
    folder = parser.parse_args().folder or Path(tempfile.mkdtemp(prefix="jaxlab-restores-"))
    folder.mkdir(parents=True, exist_ok=True)
    check = Check()
    try:
        chain(folder, check)
        old(folder, check)
    except Failed as error:
        check.tell(f"a process failed: {error}", False)
    sys.exit(0 if check.good else 1)


if __name__ == "__main__":
    main()
