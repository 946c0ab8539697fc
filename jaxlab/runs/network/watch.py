"""What is said of a validation beyond its scores."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from jaxlab.metrics import SumsByObjective
from jaxlab.objectives import Resolved
from jaxlab.training.notices import Notice, Notices

_SAMPLES = 100  # fewer say little: a unit that fires seldom is not dead
_DEAD = 0.25  # of a layer's channels; some of each pretrained network's are
_MEND = (
    "Where that stays so, a lower optimizer.lr, warmup_epochs, or less of sam, l2 and weight_decay may help"
)


class Watch:
    """Says that predictions are the same for all validation samples, at the first epoch of which that is so, and that
    a quarter of what readouts read is.

    And again where it is so after an epoch of which it was not. place: step and epoch.
    """

    def __init__(
        self, objectives: Sequence[Resolved], notices: Notices, place: Callable[[], tuple[int, int]]
    ):
        self._objectives, self._notices, self._place = objectives, notices, place

    def predictions(self, sums: SumsByObjective) -> SumsByObjective:
        """The sums, as they are."""
        for one in self._objectives:
            found = one.collapsed(sums[one.name])
            of = f"{one.name}: " if len(self._objectives) > 1 else ""
            self._told("collapsed", one.name, 1.0, found and f"{of}{found}. {_MEND}")
        return sums

    def units(self, constant: Mapping[str, np.ndarray], samples: int) -> None:
        """constant: {layer: which of its channels had one value} over so many samples."""
        for layer, which in constant.items() if samples >= _SAMPLES else ():
            said = (
                f"{which.sum():,} of the {len(which):,} features that the readout reads of {layer} have one value in "
                f"all {samples:,} validation samples: such units tell nothing, and where they are ReLUs that never "
                "fire they learn nothing. A lower optimizer.lr, or warmup_epochs, keeps units alive"
            )
            self._told("units", layer, float(which.mean()), said if which.mean() > _DEAD else None)

    def _told(self, kind: str, about: str, value: float, text: str | None) -> None:
        if text is None:
            self._notices.over(kind, about)
        else:
            self._notices.tell(Notice(*self._place(), kind, value, text, about))
