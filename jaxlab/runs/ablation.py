"""An ablation as a run: seeds of the whole in RUN/whole, without a part in RUN/without-PART, and what each is worth."""

import json
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from jaxlab.core.plots_of_runs import score_intervals
from jaxlab.experiment.ablation import WHOLE, part_of
from jaxlab.experiment.study import Study
from jaxlab.runs import worth
from jaxlab.runs.predicts_as import PredictsAs
from jaxlab.runs.run import NamedScores, Which
from jaxlab.runs.scored import COLUMNS, Row, csv_text, finite
from jaxlab.runs.seeds import SeedsRun
from jaxlab.runs.study import StudyRun
from jaxlab.training.checkpoint import Saved
from jaxlab.training.display import Session
from jaxlab.training.rundir import RunDirectory
from submit.files.atomic import atomic
from submit.metrics.table import score_of

if TYPE_CHECKING:
    import pandas as pd


class AblationRun(PredictsAs, StudyRun):
    """The whole and what it is without each part, over seeds. It predicts as the whole does."""

    @property
    def whole(self) -> SeedsRun:
        """Its seeds with every part."""
        return cast(SeedsRun, self.runs[WHOLE])

    # -- training

    @classmethod
    def conclude(cls, study: Study, rundir: RunDirectory, session: Session) -> str | None:
        """What each part is worth: kept, as a picture, and as a table."""
        run = cls(rundir, study)
        run.keep_worth()
        worth.show(session.console, run.parts, run.primary.headline)
        return None

    @cached_property
    def parts(self) -> dict[str, list[Row]]:
        """{part, the whole first: its seeds' scores}."""
        return {part_of(name): cast(SeedsRun, run).rows for name, run in self.runs.items()}

    def keep_worth(self) -> None:
        """Write scores.csv and worth.csv, scores.json and a picture. Raises SubmissionError where the disk refuses."""
        folder, headline = self.rundir.path, self.primary.headline
        found = worth.differences(self.parts)
        tables: dict[str, tuple[Sequence[str], Sequence[Sequence[Any]]]] = {
            "scores.csv": (("part", *COLUMNS), self._rows),
            "worth.csv": (worth.COLUMNS, found),
        }
        for name, (header, lines) in tables.items():
            with atomic(folder / name) as file:
                file.write(csv_text(header, lines).encode())
        with atomic(folder / "scores.json") as file:
            named = [finite(dict(zip(worth.COLUMNS, one, strict=True))) for one in found]
            file.write((json.dumps({"schema": 1, "worth": named}, indent=1, allow_nan=False) + "\n").encode())
        for where in worth.places(self.parts, headline)[:1]:
            title = f"what each part adds to {score_of(headline).label}, {', '.join(reversed(where))}"
            values = worth.by_part(self.parts, (*where, "", headline))
            picture = self.rundir.plot("worth")
            score_intervals(values, picture, title, xlabel="whole minus without", zero=True)

    # -- scores

    def scores(self) -> "pd.DataFrame":
        """Of each part and seed, as `SeedsRun.scores`, with the column part: "whole", or what is switched off."""
        import pandas as pd

        return pd.DataFrame(self._rows, columns=["part", *COLUMNS])

    @property
    def _rows(self) -> list[tuple[Any, ...]]:
        return [(part, *row) for part, found in self.parts.items() for row in found]

    def worth(self) -> "pd.DataFrame":
        """Of each part, checkpoint, split, class and score: the whole's mean, that without the part, and their paired

        difference over seeds, whole minus without: n, mean, sd, the 95 % interval's low and high, and p of a paired t
        test and of Wilcoxon's.
        """
        import pandas as pd

        return pd.DataFrame(worth.differences(self.parts), columns=list(worth.COLUMNS))

    def evaluate_checkpoints(self, which: Any = None) -> dict[str, dict[str, NamedScores]]:
        """{"whole": {split: mean over seeds}, "without-PART": ...}."""
        return {name: run.evaluate(which) for name, run in self.runs.items()}

    # -- as the whole has it

    @property
    def predictor(self) -> SeedsRun:
        return self.whole

    def checkpoints(self, which: Which) -> list[Saved]:
        return self.whole.checkpoints(which)
