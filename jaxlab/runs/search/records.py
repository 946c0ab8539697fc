"""What a trial's directory says of it, beside what any run's does: trial.json, written before the ledger is told."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from pydantic import BaseModel, Field

from jaxlab.core.files import read_json, write_json, writing
from jaxlab.core.types import UserError
from jaxlab.core.words import counted
from jaxlab.experiment.search import Search
from jaxlab.experiment.spaces import label
from jaxlab.runs.search.params import settings as settings_of
from submit.files.atomic import atomic

State = Literal["running", "complete", "stopped", "failed"]
FILE = "trial.json"
SCHEMA = 1


class _Form(BaseModel):
    schema_: Literal[1] = Field(alias="schema")
    number: Annotated[int, Field(ge=0)]
    state: State
    params: dict[str, str | int | float | bool | None]
    metric: str
    score: float | None
    epoch: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Trial:
    """number: from 0. params: {field: value}, parts of an experiment by their labels. metric: of `score`.

    state: "running" until it has come to its end, or while nobody goes on with it. "stopped": at `epoch`, as
        unpromising. "failed": for `reason`.
    began, ended: UTC.
    """

    number: int
    state: State
    params: dict[str, Any]
    metric: str
    score: float | None = None
    epoch: int | None = None
    reason: str = ""
    began: str = field(default_factory=lambda: now())
    ended: str | None = None

    @property
    def name(self) -> str:
        return directory_name(self.number)

    def write(self, folder: Path) -> None:
        """Into its directory, whole or not at all. Raises UserError where the disk refuses."""
        with writing(folder / FILE):
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / FILE, {"schema": SCHEMA, **asdict(self)})


@dataclass(frozen=True)
class Elsewhere:
    """What the list has beyond the trials that came to their end in this directory.

    unfinished: how many are begun, by others who are at them, or have left them. ended: how many came to their end in
    other directories. best: of these; None where none has a score.
    """

    unfinished: int = 0
    ended: int = 0
    best: "Other | None" = None


@dataclass(frozen=True)
class Other:
    """A complete trial of another directory. value: its score, as `worth` has it. where: machine and directory."""

    number: int
    params: dict[str, Any]
    value: float
    where: str


def now() -> str:
    return datetime.now(UTC).isoformat(" ", "seconds")


def directory_name(number: int) -> str:
    return f"trial{number:04d}"


def read(folder: Path) -> Trial | None:
    """What a trial's directory says; None where it says nothing yet. Raises UserError where that is not whole."""
    file = folder / FILE
    if not file.is_file():
        return None
    data = read_json(file, _Form)
    known = Trial.__dataclass_fields__
    return Trial(**{name: value for name, value in data.items() if name in known})


def trials_in(folder: Path) -> list[Trial]:
    """Those of a study's directory, by number. Raises UserError where one says something that cannot be."""
    found = []
    for path in sorted(folder.glob(f"trial[0-9]*/{FILE}")):
        trial = read(path.parent)
        if trial is not None and path.parent.name != trial.name:
            raise UserError(f"{path}: expected the number of {path.parent.name}, found {trial.number}")
        found += [trial] if trial is not None else []
    return sorted(found, key=lambda trial: trial.number)


def worth(search: Search, score: float) -> float:
    """A score as the sampler takes it: of one that is best at 1, how far it is from there."""
    return abs(score - 1) if search.score.better == "near 1" else score


def worth_of(search: Search, value: float) -> float:
    """A score as the sampler takes it, by which the best is the largest."""
    return value if search.score.better == "higher" else -value


def ranked(search: Search, trials: Sequence[Trial]) -> list[Trial]:
    """Those with a score that came to their end, the best first; of equal ones the first first."""
    finished = [trial for trial in trials if trial.state == "complete" and trial.score is not None]
    return sorted(finished, key=lambda trial: -search.score.worth(trial.score or 0.0))


def table(search: Search, trials: Sequence[Trial]) -> pd.DataFrame:
    """A row for each trial: state, score under its name, the fields that were searched, epoch, reason, directory."""
    rows = [
        {
            "trial": trial.number,
            "state": trial.state,
            search.searched: trial.score,
            **shown(search, trial),
            "epoch": trial.epoch,
            "reason": trial.reason,
            "directory": trial.name,
        }
        for trial in trials
    ]
    columns = ["trial", "state", search.searched, *search.space, "epoch", "reason", "directory"]
    return pd.DataFrame(rows, columns=columns).set_index("trial")


def shown(search: Search, trial: Trial) -> dict[str, Any]:
    """Its settings for people: numbers as they are, and whatever else by its label."""
    values = settings_of(search.space, trial.params)
    return {name: value if type(value) in (int, float) else label(value) for name, value in values.items()}


def write_table(search: Search, folder: Path, trials: Sequence[Trial]) -> None:
    """trials.csv, whole or not at all. Raises SubmissionError where the disk refuses."""
    with atomic(folder / "trials.csv") as file:
        file.write(table(search, trials).to_csv().encode())


def best_of(search: Search, folder: Path) -> Trial:
    """The trial with the best score. Raises UserError where none has come to its end."""
    trials = trials_in(folder)
    found = ranked(search, trials)
    if not found:
        raise UserError(
            f"{folder}: none of its {counted(len(trials), 'trial')} has come to its end with a score yet; the same "
            "`jaxlab sweep` goes on with them"
        )
    return found[0]
