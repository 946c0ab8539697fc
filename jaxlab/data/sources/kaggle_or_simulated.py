"""Your own Kaggle folder, or the simulated population where none is named."""

from dataclasses import dataclass
from pathlib import Path

from jaxlab.core.types import Samples
from jaxlab.data.source import Opened
from jaxlab.data.sources.simulated import Simulated
from jaxlab.data.sources.table import KaggleTable


@dataclass(frozen=True, kw_only=True)
class KaggleOrSimulated(KaggleTable):
    """A KaggleTable; without a root, `simulated` stands in."""

    simulated: Simulated = Simulated()

    def open(self) -> Opened:
        return self.simulated.open() if self.root is None else super().open()

    def open_test(self) -> tuple[Samples | None, Path | None]:
        return self.simulated.open_test() if self.root is None else super().open_test()
