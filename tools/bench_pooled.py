"""Algonauts' eight subjects at their true size under one network: seconds and memory of training and of the zip.

    python tools/bench_pooled.py FOLDER [--head shared] [--steps 60] [--side 32] [--share 1.0]

FOLDER gets eight simulated subjects where it has none: as many images (of SIDE pixels) and vertices as the challenge's.
Responses are files of true shape whose first 512 rows hold numbers and whose others are holes of a sparse file, read as
0, so that 12 GB take 0.6 on disk; images that several subjects saw are a tenth, as in the challenge. A process for each
phase; anonymous memory is what it has allocated, without pages of files, which the system takes back at need.
"""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image
from simulate_algonauts import REGIONS, _write_masks

# Of the challenge's eight: images to train on and to predict, vertices left and right.
TRAIN = (9841, 9841, 9082, 8779, 9841, 9082, 9841, 8779)
TEST = (159, 159, 293, 395, 159, 293, 159, 395)
LEFT = (19004,) * 5 + (18978, 19004, 18981)
RIGHT = (20544,) * 5 + (20220, 20544, 20530)
SEEN = 907  # images that all have seen
_ROWS = 512


def simulate(folder: Path, share: float, side: int) -> None:
    """The trees of eight subjects; those that are there already stay."""
    for number, (train, test, *vertices) in enumerate(zip(TRAIN, TEST, LEFT, RIGHT, strict=True), 1):
        root = folder / "data" / f"subj{number:02d}"
        if (root / "done").exists():
            continue
        for split, count in (("train", round(train * share)), ("test", test)):
            images = (
                root / f"{split}{'ing' * (split == 'train')}_split/{split}{'ing' * (split == 'train')}_images"
            )
            images.mkdir(parents=True, exist_ok=True)
            for k in range(count):
                shared = split == "train" and k < round(SEEN * share)  # by all
                rng = np.random.default_rng([0, k] if shared else [number, k, split == "test"])
                pixels = rng.integers(0, 256, (side, side, 3), np.uint8)
                Image.fromarray(pixels).save(
                    images / f"{split}-{k + 1:04d}_nsd-{k:05d}.png", compress_level=0
                )
        rng = np.random.default_rng(number)
        for name in ("training_split/training_fmri", "roi_masks"):
            (root / name).mkdir(parents=True, exist_ok=True)
        for hemisphere, count in zip(("lh", "rh"), vertices, strict=True):
            file = root / f"training_split/training_fmri/{hemisphere}_training_fmri.npy"
            shape = (round(train * share), count)
            responses = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=shape)
            responses[:_ROWS] = rng.standard_normal((min(_ROWS, shape[0]), count), np.float32)
            responses.flush()
            _write_masks(root / "roi_masks", hemisphere, count, rng)
        for kind, names in REGIONS.items():
            mapping = dict(enumerate(("Unknown", *names)))
            np.save(root / f"roi_masks/mapping_{kind}.npy", mapping)  # type: ignore[arg-type]
        (root / "done").touch()


def experiment(folder: Path, head: str, steps: int, side: int) -> Any:
    """A small network, so that what is measured is the eight subjects' data and readouts."""
    from jaxlab.data import Algonauts, Images, Pooled
    from jaxlab.experiment import Experiment, Training
    from jaxlab.heads import Factorized, Gaussian, PerSubject, Shared
    from jaxlab.models import ShallowCNN

    heads = {
        "shared": Shared(head=Factorized(layer="level2"), components=64, rank=8),
        "per subject": PerSubject(head=Factorized(layer="level2")),
        "per subject, gaussian": PerSubject(head=Gaussian(layer="level2")),
    }
    return Experiment(
        data=Pooled(root=str(folder / "data"), each=Algonauts()),
        images=Images(size=(side, side)),
        model=ShallowCNN(channels=(32, 64), kernel_sizes=(5, 3)),
        head=heads[head],
        training=Training(steps=steps, batch_size=32),
    )


def phase(name: str, folder: Path, head: str, steps: int, side: int) -> None:
    """In a process of its own."""
    import jaxlab

    run, config = folder / f"run_{head.replace(' ', '_')}", experiment(folder, head, steps, side)
    if name == "open":
        config.data.open_on_disk()
    elif name == "train":
        jaxlab.prepare()
        jaxlab.train(config, run)
    elif name == "predict":
        sys.argv = ["jaxlab", "predict", str(run), "--out", str(folder / f"out_{head.replace(' ', '_')}")]
        from jaxlab.__main__ import main

        main()


def measured(arguments: list[str]) -> dict[str, float]:
    """Seconds, and the most memory in GB, of a process with these arguments."""
    begun = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, __file__, *arguments], env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )
    most = {"RssAnon": 0, "VmRSS": 0}

    def watch() -> None:
        while child.poll() is None:
            try:
                lines = Path(f"/proc/{child.pid}/status").read_text("utf-8").splitlines()
            except OSError:
                return
            found = {
                key: int(value.split()[0])
                for key, _, value in (line.partition(":") for line in lines)
                if key in most
            }
            most.update({key: max(most[key], value) for key, value in found.items()})
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = child.wait()
    watcher.join()
    return {
        "seconds": round(time.perf_counter() - begun, 1),
        "anonymous GB": round(most["RssAnon"] / 2**20, 2),
        "with files GB": round(most["VmRSS"] / 2**20, 2),
        "code": code,
    }


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--head", default="shared", show_default=True)
@click.option("--steps", default=60, show_default=True)
@click.option("--side", default=32, show_default=True)
@click.option("--share", default=1.0, show_default=True, help="Of the training images.")
@click.option("--phase", "only", hidden=True)
def main(folder: Path, head: str, steps: int, side: int, share: float, only: str | None) -> None:
    """Print a line for each phase."""
    if only is not None:
        phase(only, folder, head, steps, side)
        return
    simulate(folder, share, side)
    common = [str(folder), "--head", head, "--steps", str(steps), "--side", str(side)]
    for name in ("open", "train", "predict"):
        print(json.dumps({"phase": name, "head": head, **measured([*common, "--phase", name])}), flush=True)


if __name__ == "__main__":
    main()
