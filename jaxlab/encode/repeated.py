"""Features of samples of which several show the same image: one row on disk for these, read when it is asked for."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Repeated:
    """As `array[row_of]`, of which no copy is made. Indexed by rows it gives an array of these."""

    array: np.ndarray
    row_of: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.row_of), *self.array.shape[1:])

    @property
    def ndim(self) -> int:
        return self.array.ndim

    def __len__(self) -> int:
        return len(self.row_of)

    def __getitem__(self, rows: Any) -> np.ndarray:
        return np.asarray(self.array[self.row_of[rows]])


Rows = np.ndarray | Repeated
