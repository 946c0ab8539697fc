"""What the loop knows besides the state: the best epoch, patience, plateaus. Saved with each checkpoint."""

import math
from dataclasses import asdict, dataclass
from typing import Any

LOWER_IS_BETTER = ("loss", "mse")


@dataclass
class Progress:
    """best: {"metric", "value", "step", "epoch"} of the best validation so far, or None.

    stale: epochs since. plateau: epochs since the last improvement or drop of the learning rate.
    """

    best: dict[str, Any] | None = None
    stale: int = 0
    plateau: int = 0

    def update(self, metric: str, value: float, step: int, epoch: int) -> bool:
        """Take in an epoch's validation; True where it is the best so far (NaN never is)."""
        better = not math.isnan(value) and (
            self.best is None
            or (value < self.best["value"] if metric in LOWER_IS_BETTER else value > self.best["value"])
        )
        if better:
            self.best = {"metric": metric, "value": value, "step": step, "epoch": epoch}
            self.stale = self.plateau = 0
        else:
            self.stale += 1
            self.plateau += 1
        return better

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
