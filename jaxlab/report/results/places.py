"""Where targets lie: on a grid, a cortical flat map, or wherever somebody has measured them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxlab.core.types import UserError
from jaxlab.data.source import examples
from submit.files.csv_table import read_table

_COLUMNS = ("x", "y")


@dataclass(frozen=True, eq=False)
class Places:
    """at: {target: (x, y)}, and the file that they are from."""

    path: Path
    at: dict[str, tuple[float, float]]

    @classmethod
    def load(cls, path: Path) -> "Places":
        """A CSV whose first column names targets, with the columns x and y. Raises UserError for any other."""
        if path.suffix.lower() != ".csv":
            raise UserError(f"--coordinates {path}: expected a .csv file with the columns target, x and y")
        table = read_table(path)
        names = table.columns.tolist()
        if absent := [name for name in _COLUMNS if name not in names]:
            raise UserError(
                f"--coordinates {path}: expected a column of targets, then x and y; found {examples(names)} "
                f"(no {' and no '.join(absent)})"
            )
        table.require_numbers(np.isin(table.columns, _COLUMNS))
        x, y = (table.values[:, names.index(name)].astype(float) for name in _COLUMNS)
        return cls(path, dict(zip(table.ids.tolist(), zip(x.tolist(), y.tolist(), strict=True), strict=True)))

    def of(self, targets: np.ndarray) -> np.ndarray:
        """(t, 2), NaN where a target's place is not known. Raises UserError where it is of none."""
        nowhere = (float("nan"),) * 2
        found = np.array([self.at.get(str(name), nowhere) for name in targets], float).reshape(-1, 2)
        if not np.isfinite(found).all(1).any():
            raise UserError(
                f"--coordinates {self.path}: names none of the targets ({examples(targets.tolist(), 3)}); found "
                f"{examples(self.at, 3)}"
            )
        return found
