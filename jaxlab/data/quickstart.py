"""Your own Kaggle folder, or the simulated population where none is named."""

from dataclasses import dataclass
from pathlib import Path

from jaxlab.config import Location
from jaxlab.data.simulated import Simulated
from jaxlab.data.source import Opened, Source
from jaxlab.data.table import KaggleTable
from jaxlab.types import Samples


@dataclass(frozen=True, kw_only=True)
class KaggleOrSimulated(Source):
    """root: a Kaggle folder, read as KaggleTable reads it; without one, `simulated` stands in."""

    root: Location | None = None
    simulated: Simulated = Simulated()

    def open(self) -> Opened:
        return self._source().open()

    def open_test(self) -> tuple[Samples | None, Path | None]:
        return self._source().open_test()

    def _source(self) -> Source:
        return self.simulated if self.root is None else KaggleTable(root=self.root)
