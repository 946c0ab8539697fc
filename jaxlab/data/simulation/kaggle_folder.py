"""Simulated data as a Kaggle folder, with the solution that a real one keeps to itself."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from jaxlab.core.folders import made_whole
from jaxlab.core.types import Samples, UserError
from jaxlab.data.source import Opened
from submit.late import Late

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = Late("pandas")


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, at `folder` once it is whole. Raises UserError where that holds anything: it could be data."""
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise UserError(f"{folder} exists already; name a folder that does not, or an empty one")
    with made_whole(folder) as partial:
        yield partial


def write(folder: Path, opened: Opened, label: str) -> None:
    """train.csv, train/, test/ (PNG), sample_submission.csv and solution.csv. label: name of the classes' column."""
    assert opened.test is not None
    for split, samples in (("train", opened.train), ("test", opened.test)):
        _write_images(folder / split, samples)
    _table(opened, opened.train, label).to_csv(folder / "train.csv", index=False)
    solution = _table(opened, opened.test, label)
    solution.to_csv(folder / "solution.csv", index=False)
    solution.iloc[:, 1:] = 0.0 if opened.kind == "regression" else opened.targets[0]
    solution.to_csv(folder / "sample_submission.csv", index=False)


def _table(opened: Opened, samples: Samples, label: str) -> "pd.DataFrame":
    ids = pd.DataFrame({"image_id": samples.ids})
    if samples.label is not None:
        return ids.assign(**{label: np.array(opened.targets)[samples.label]})
    return pd.concat([ids, pd.DataFrame(samples.target, columns=list(opened.targets))], axis=1)


def _write_images(folder: Path, samples: Samples) -> None:
    folder.mkdir(parents=True, exist_ok=True)

    def write_one(position: int) -> None:
        Image.fromarray(samples.read(position)).save(folder / f"{samples.ids[position]}.png")

    with ThreadPoolExecutor() as pool:
        list(pool.map(write_one, range(len(samples))))
