"""Seeds as a run: a run for each seed in RUN/seed0, RUN/seed1, ..., their scores, and what they predict together."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxlab.core.plots_of_runs import score_intervals
from jaxlab.core.types import UserError
from jaxlab.core.words import counted
from jaxlab.data.source import examples
from jaxlab.experiment.study import Study
from jaxlab.objectives import Labelled
from jaxlab.runs import seed_tables
from jaxlab.runs.run import NamedScores, Which
from jaxlab.runs.scored import (
    Row,
    confused,
    frame,
    is_current,
    record_of,
    rows_of,
    scores_kept,
    summed,
    write_scores,
)
from jaxlab.runs.study import directories_of
from jaxlab.runs.together import TogetherRun
from jaxlab.training.display import Session
from jaxlab.training.rundir import RunDirectory
from submit import Predictions, figures
from submit.metrics.table import score_of

if TYPE_CHECKING:
    import pandas as pd


class SeedsRun(TogetherRun):
    """Trained seeds of one experiment. They predict as their mean; their scores have a mean and an interval."""

    noun = "seeds"

    def __init__(self, rundir: RunDirectory, experiment: Any, predicts: str | None = None):
        super().__init__(rundir, experiment, predicts)
        self.usual = next(iter(self.runs.values())).usual

    # -- training

    @classmethod
    def described(cls, study: Study) -> Mapping[str, Any]:
        return {"seeds": len(study.variants())}

    @classmethod
    def conclude(cls, study: Study, rundir: RunDirectory, session: Session) -> str | None:
        """The scores of all seeds: kept, as a picture, and as tables."""
        run = cls(rundir, study)
        if not run.is_scored and not session.budget.allows(
            ["start", "compile", *["validation"] * len(run.runs)]
        ):
            return "the scores of all seeds"
        rows = run.score()
        asked = directories_of(rundir, study)
        found = (folder.name for folder in rundir.path.glob("seed*") if re.fullmatch(r"seed\d+", folder.name))
        if left := sorted(set(found) - set(asked), key=lambda name: int(name[4:])):
            session.log(f"left out, as they are not asked for: {examples(left)}")
        if session.title:  # one of several, of which a table of all is yet to come
            session.log(f"{session.title}: {seed_tables.line(rows, run.primary.headline)}")
        else:
            seed_tables.show(session.console, rows, run.primary.headline)
        return None

    # -- scores

    @property
    def is_scored(self) -> bool:
        """Whether all seeds' scores are kept, by their checkpoints as they are."""
        kept = scores_kept(self.rundir.path)
        return all(is_current(run, kept.get(name)) for name, run in self.runs.items())

    def score(self) -> list[Row]:
        """Score the seeds that have not been yet, and keep the scores of all, with pictures."""
        records = self._records()
        rows = _rows(records)
        write_scores(self.rundir.path, records, rows)
        headline = self.primary.headline
        values = {place: list(each.values()) for place, each in seed_tables.by_split(rows, headline).items()}
        title = f"{score_of(headline).label}, {counted(len(records), 'seed')}, with 95 % intervals"
        score_intervals(values, self.rundir.plot("seeds"), title)
        for split, (counts, names) in confused(list(records.values()), self.targets).items():
            figures.confusion(counts, names, self.rundir.plot(f"confusion-{split}"))
        return rows

    @cached_property
    def rows(self) -> list[Row]:
        """The lines of scores.csv, of the checkpoints as they are."""
        return _rows(self._records())

    def _records(self) -> dict[str, dict[str, Any]]:
        """{variant: its record}: what is kept, and what is not is made."""
        kept = scores_kept(self.rundir.path)
        return {name: record_of(run, kept.get(name)) for name, run in self.runs.items()}

    def scores(self) -> "pd.DataFrame":
        """Of each seed: the columns variant, checkpoint (best or last), split, class, score and value.

        class is "" of scores that are of all classes, and of regression. "train" is of the network as it learned, over
        the last epoch. What the study has not kept is computed.
        """
        return frame(self.rows)

    def summary(self) -> "pd.DataFrame":
        """By checkpoint, split, class and score: n, mean, sd, and low and high of the 95 % interval over seeds."""
        import pandas as pd

        found = [(*key, *one) for key, one in summed(self.rows).items()]
        names = ["checkpoint", "split", "class", "score", "n", "mean", "sd", "low", "high"]
        return pd.DataFrame(found, columns=names)

    def evaluate(self, which: Which | None = None) -> dict[str, NamedScores]:
        """{split: the mean of the seeds' scores}."""
        return self.evaluate_checkpoints(which)["mean"]

    def evaluate_checkpoints(self, which: Any = None) -> dict[str, dict[str, NamedScores]]:
        """{"seed0": {split: scores}, ..., "mean": ..., "sd": ...}, splits as each seed's `evaluate` has them."""
        if which == "all":
            first = next(iter(self.runs.values())).rundir.path
            raise UserError(
                f"{self.rundir.path}: expected best or last, found all; a seed's own checkpoints are evaluated by "
                f"`jaxlab evaluate {first} --checkpoints all`"
            )
        found = {name: run.evaluate(which) for name, run in self.runs.items()}
        each = list(found.values())
        for name, reduce in (("mean", np.mean), ("sd", lambda values: np.std(values, ddof=1))):
            if len(each) > 1 or name == "mean":
                found[name] = {
                    split: {score: float(reduce([one[split][score] for one in each])) for score in scores}
                    for split, scores in each[0].items()
                }
        return found

    def recorded(self) -> dict[str, dict[str, NamedScores]]:
        """Means over seeds, undefined where one seed's score is: some seeds' mean is not what others are chosen by."""
        found: dict[str, dict[str, NamedScores]] = {}
        for (which, split, of_class, score), one in summed(self.rows).items():
            if not of_class:
                mean = one.mean if one.n == len(self.runs) else math.nan
                found.setdefault(which, {}).setdefault(split, {})[score] = mean
        return found

    def labelled(self, which: Which | None = None, untrained: bool = False) -> Iterator[Labelled]:
        """Of the mean of the seeds' predictions. Raises UserError where they validate on different samples."""
        for parts in zip(*(run.labelled(which, untrained) for run in self.runs.values()), strict=True):
            if any(part.rows.tolist() != parts[0].rows.tolist() for part in parts):
                raise UserError(f"{self.rundir.path}: {self._different()}")
            values = self.primary.mean_of(part.values for part in parts)
            yield Labelled(parts[0].split, parts[0].rows, values, parts[0].untrained)

    def _different(self) -> str:
        first = next(iter(self.runs.values())).rundir.path
        return (
            "its seeds validate on different samples (vary names the split's or the data's seed), so that none is new "
            f"to all of them; name one, {first}"
        )

    # -- predictions

    def predict_split(self, split: str = "test", which: Which | None = None) -> Predictions:
        """The mean of the seeds' predictions, of the labelled samples too where all seeds divide them alike."""
        if split == "test":
            return self.averaged(list(self.predict_members(which)), which)
        parts = [run.predict_split(split, which) for run in self.runs.values()]
        if any(part.ids.tolist() != parts[0].ids.tolist() for part in parts):
            raise UserError(f"{self.rundir.path}: {self._different()}")
        return self.averaged(parts, which)

    def scored(self, members: Sequence[Predictions], which: Which | None) -> Mapping[str, Any]:
        """The means over members of those that each brings along."""
        return {
            split: {name: float(np.mean(values)) for name, values in scores.items()}
            for split, scores in _together([member.provenance["scores"] for member in members]).items()
        }


def _rows(records: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    return [row for name, record in records.items() for row in rows_of(name, record)]


def _together(each: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, list[float]]]:
    """{split: {score: its values}} of those that all have, and that are defined in all."""
    found: dict[str, dict[str, list[float]]] = {}
    for split, scores in each[0].items():
        for name in scores:
            values = [one.get(split, {}).get(name) for one in each]
            if all(value is not None for value in values):
                found.setdefault(split, {})[name] = [float(value) for value in values]  # type: ignore[arg-type]
    return found
