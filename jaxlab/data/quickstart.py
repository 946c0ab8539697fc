"""Your own Kaggle folder, or the simulated population where none is named."""

from dataclasses import dataclass

from jaxlab.config import Location
from jaxlab.data.simulated import Simulated
from jaxlab.data.source import Opened, Source
from jaxlab.data.table import KaggleTable


@dataclass(frozen=True, kw_only=True)
class KaggleOrSimulated(Source):
    """root: a Kaggle folder, read as KaggleTable reads it; without one, `simulated` stands in."""

    root: Location | None = None
    simulated: Simulated = Simulated()

    def open(self) -> Opened:
        return self.simulated.open() if self.root is None else KaggleTable(root=self.root).open()
