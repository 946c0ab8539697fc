"""What is said of a validation beyond its scores."""

from collections.abc import Callable, Sequence

from jaxlab.metrics import SumsByObjective
from jaxlab.objectives import Resolved


class Watch:
    """Says that all validation samples are predicted as one class, at the first epoch of which that is so.

    And again where it is so after an epoch of which it was not.
    """

    def __init__(self, objectives: Sequence[Resolved], say: Callable[[str], None]):
        self._objectives, self._say = objectives, say
        self._said: set[str] = set()

    def __call__(self, sums: SumsByObjective) -> SumsByObjective:
        """The sums, as they are."""
        for one in self._objectives:
            found = one.collapsed(sums[one.name])
            if found is None:
                self._said.discard(one.name)
            elif one.name not in self._said:
                self._said.add(one.name)
                of = f"{one.name}: " if len(self._objectives) > 1 else ""
                self._say(
                    f"warning: {of}all validation samples are predicted to be {found!r}. Where that stays so, a lower "
                    "optimizer.lr, warmup_epochs, or less of sam, l2 and weight_decay may help"
                )
        return sums
