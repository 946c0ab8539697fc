"""What stops a trial at an epoch's end, as others did better."""

import math

from jaxlab.core.types import UserError
from jaxlab.experiment.search import Search
from jaxlab.runs.search.ledger import Ledger, Taken
from jaxlab.runs.search.records import worth
from jaxlab.training.display import Session

_WHY = {
    "median": "its best {} so far is behind the median of other trials at this epoch",
    "hyperband": "its {} is not among the best third of trials that came as far",
}


class EpochJudge:
    """Tells the ledger of a trial's epochs, and is told whether to go on. Of folds and seeds it sees the first.

    ended: why the trial was given up, if it was. why: what that would be.
    """

    def __init__(self, search: Search, ledger: Ledger, trial: Taken, session: Session):
        self._search, self._ledger, self._trial, self._session = search, ledger, trial, session
        self.ended: str | None = None

    def __call__(self, epoch: int, validation: dict[str, float]) -> str | None:
        score = validation.get(self._search.searched, math.nan)
        if self._search.pruned_by is None or math.isnan(score):
            return None
        if self._given_up(epoch, worth(self._search, score)):
            self.ended = self.why
        return self.ended

    @property
    def why(self) -> str:
        return _WHY[self._search.pruned_by or "median"].format(self._search.searched)

    def _given_up(self, epoch: int, value: float) -> bool:
        if self._trial.stopped is not None:
            return epoch >= self._trial.stopped
        try:
            return self._ledger.report(self._trial, epoch, value)
        except UserError as error:  # training is worth more than what stops it
            self._session.once(f"warning: {error}; meanwhile no trial is stopped")
            return False
