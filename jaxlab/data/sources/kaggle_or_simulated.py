"""Your own Kaggle folder, or simulated data where none is named."""

from dataclasses import dataclass
from pathlib import Path

from jaxlab.core.types import Samples
from jaxlab.data.source import Opened
from jaxlab.data.sources.gestures import Gestures
from jaxlab.data.sources.simulated import Simulated
from jaxlab.data.sources.table import KaggleTable


@dataclass(frozen=True, kw_only=True)
class KaggleOrSimulated(KaggleTable):
    """A KaggleTable; without a root, `simulated` stands in.

    simulated: the data where no folder is named: neurons that see scenes, or gestures.
    """

    simulated: Simulated | Gestures = Simulated()

    @property
    def mirrors(self) -> frozenset[str]:
        """Those of the simulated data where they stand in."""
        return self.simulated.mirrors if self.root is None else super().mirrors

    def open(self) -> Opened:
        return self.simulated.open() if self.root is None else super().open()

    def open_test(self) -> tuple[Samples | None, Path | None]:
        return self.simulated.open_test() if self.root is None else super().open_test()
