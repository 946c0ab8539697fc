"""A submission to Algonauts 2023 at its true size, simulated: eight subjects' predictions, built, zipped and checked.

python tools/simulate_algonauts_submission.py FOLDER

Writes FOLDER/subj01.npz ... (320 MB), then in a process each, whose seconds and peak memory are printed:
submit.algonauts.write (FOLDER/submission.zip) and submit.algonauts.check. Reads the zip back with zipfile and numpy.
Values have the spread of predictions, not of responses; either way float32 noise deflates to about 93%.
"""

import argparse
import io
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
from bench_process import once, peak_memory_gb, timed

from submit import Predictions, algonauts
from submit.formats.algonauts_layout import CHALLENGE, HEMISPHERES, Subject


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


def perform(step: str, folder: str) -> dict[str, float]:
    """Seconds of one step, and the peak memory of this process before and after, GB."""
    before = peak_memory_gb()
    zipped = Path(folder) / "submission.zip"
    if step == "write":
        members = {name: Path(folder) / f"{name}.npz" for name in CHALLENGE}
        found = timed(lambda: algonauts.write(members, zipped))
    else:
        found = timed(lambda: print(*algonauts.check(zipped), file=sys.stderr))
    return {"seconds": found["seconds"], "before": before, "peak": peak_memory_gb()}


def read_back(folder: Path) -> None:
    with zipfile.ZipFile(folder / "submission.zip") as archive:
        for name in CHALLENGE:
            given = Predictions.load(folder / f"{name}.npz").values
            sides = [
                np.load(io.BytesIO(archive.read(f"{name}/{side}_pred_test.npy"))) for side in HEMISPHERES
            ]
            np.testing.assert_array_equal(np.concatenate(sides, axis=1), given, strict=True)


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].startswith("{"):  # a process of one step
        print(json.dumps(perform(**json.loads(sys.argv[1]))))
        sys.exit()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    simulate(folder)
    for step in ("write", "check"):
        found = once(Path(__file__).name, {"step": step, "folder": str(folder)})
        print(f"{step}: {found['seconds']:.1f} s, peak {found['peak']:.3f} GB ({found['before']:.3f} before)")
    read_back(folder)
    size = (folder / "submission.zip").stat().st_size
    print(f"submission.zip: {size / 1e6:.1f} MB, read back equal to the predictions")
