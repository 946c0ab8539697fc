"""A submission to Algonauts 2023 at its true size, simulated: eight subjects' predictions, built, zipped and checked.

python tools/simulate_algonauts_submission.py FOLDER

Writes FOLDER/subj01.npz ... (320 MB), then in a process each, whose seconds and peak memory are printed:
submit.algonauts.write (FOLDER/submission.zip) and submit.algonauts.check. Reads the zip back with zipfile and numpy.
Values have the spread of predictions, not of responses; either way float32 noise deflates to about 93%.
"""

import argparse
import io
import json
import resource
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np

from submit import Predictions, algonauts
from submit.algonauts_layout import CHALLENGE, HEMISPHERES, Subject


def simulate(folder: Path) -> None:
    """Ids and targets named as jaxlab.data.Algonauts names them."""
    rng = np.random.default_rng(0)
    for name, subject in CHALLENGE.items():
        numbers = np.sort(rng.permutation(73_000)[: subject.images])
        ids = [f"test-{k + 1:04d}_nsd-{number:05d}" for k, number in enumerate(numbers)]
        targets = [f"{side}.{k:05d}" for side in HEMISPHERES for k in range(subject.vertices[side])]
        values = _responses(subject, len(targets), rng)
        Predictions(np.array(ids), values, np.array(targets)).save(folder / f"{name}.npz")


def _responses(subject: Subject, targets: int, rng: np.random.Generator) -> np.ndarray:
    """(images, targets) of 50 dimensions, as predictions of a network are."""
    features = rng.standard_normal((subject.images, 50), np.float32)
    return features @ (rng.standard_normal((50, targets), np.float32) * np.float32(0.05))


def measured(step: str, folder: Path) -> dict[str, float]:
    """One step in a process of its own: seconds without imports, and the process's peak memory in MB."""
    ran = subprocess.run(
        [sys.executable, __file__, str(folder), "--step", step], check=True, capture_output=True, text=True
    )
    return json.loads(ran.stdout)


def perform(step: str, folder: Path) -> None:
    before = _peak()
    start = time.perf_counter()
    if step == "write":
        algonauts.write({name: folder / f"{name}.npz" for name in CHALLENGE}, folder / "submission.zip")
    else:
        faults = algonauts.check(folder / "submission.zip")
        assert not faults, faults
    print(json.dumps({"seconds": time.perf_counter() - start, "MB": _peak(), "MB before": before}))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def read_back(folder: Path) -> None:
    with zipfile.ZipFile(folder / "submission.zip") as archive:
        for name in CHALLENGE:
            given = Predictions.load(folder / f"{name}.npz").values
            sides = [
                np.load(io.BytesIO(archive.read(f"{name}/{side}_pred_test.npy"))) for side in HEMISPHERES
            ]
            np.testing.assert_array_equal(np.concatenate(sides, axis=1), given, strict=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--step", choices=("write", "check"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        perform(given.step, given.folder)
        sys.exit()
    simulate(given.folder)
    for step in ("write", "check"):
        found = measured(step, given.folder)
        print(
            f"{step}: {found['seconds']:.1f} s, peak {found['MB']:.0f} MB ({found['MB before']:.0f} before)"
        )
    read_back(given.folder)
    size = (given.folder / "submission.zip").stat().st_size
    print(f"submission.zip: {size / 1e6:.1f} MB, read back equal to the predictions")
