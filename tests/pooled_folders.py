"""Kaggle folders of three subjects, made by numpy and Pillow alone: what `Pooled` is tried on."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

TRAIN = {"s1": 24, "s2": 20, "s10": 12}  # in natural order
TARGETS = {"s1": 3, "s2": 2, "s10": 4}
TEST = 4
SHARED = 5  # images of s1 that s2 saw too, under other ids
SEEN = 2  # test images of s10 that s1 has for training


def images_of(subject: str) -> np.ndarray:
    """Those for training, then those to predict."""
    rng = np.random.default_rng(int(subject[1:]))
    found = rng.integers(0, 256, (TRAIN[subject] + TEST, 16, 16, 3), dtype=np.uint8)
    if subject == "s2":
        found[:SHARED] = images_of("s1")[3 : 3 + SHARED]
    if subject == "s10":
        found[-SEEN:] = images_of("s1")[:SEEN]
    return found


def targets_of(subject: str) -> np.ndarray:
    """(n, t) of the images for training: what a network can learn of them, in units of its own."""
    images = images_of(subject)[: TRAIN[subject]]
    seen = images.reshape(len(images), 4, 4, 4, 4, 3).mean((2, 4)).reshape(len(images), -1) / 255 - 0.5
    weights = np.random.default_rng(99 + int(subject[1:])).normal(size=(48, TARGETS[subject]))
    return (10 * int(subject[1:]) + seen @ weights).astype(np.float32)


def write(root: Path) -> Path:
    """A folder of three; s10 has no sample submission."""
    for subject in TRAIN:
        folder, images = root / subject, images_of(subject)
        ids = {
            "train": [f"{k:03d}" for k in range(TRAIN[subject])],
            "test": [f"t{k}" for k in range(TEST)],
        }
        for split, some in (("train", images[: TRAIN[subject]]), ("test", images[TRAIN[subject] :])):
            (folder / split).mkdir(parents=True)
            for name, image in zip(ids[split], some, strict=True):
                Image.fromarray(image).save(folder / split / f"{name}.png")
        columns = [f"n{k}" for k in range(TARGETS[subject])]
        table = pd.DataFrame(targets_of(subject), columns=columns)
        table.insert(0, "id", ids["train"])
        table.to_csv(folder / "train.csv", index=False)
        if subject != "s10":
            sample = pd.DataFrame(np.zeros((TEST, len(columns))), columns=columns)
            sample.insert(0, "id", ids["test"])
            sample.to_csv(folder / "sample_submission.csv", index=False)
    (root / "README.md").write_text("Three subjects.")
    (root / "empty").mkdir()
    return root
