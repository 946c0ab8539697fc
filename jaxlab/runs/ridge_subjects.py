"""What a ridge regression is fitted to: the rows of each subject, where data pool several, else those of all."""

from collections.abc import Mapping

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jaxlab.core.types import Samples, UserError
from jaxlab.data.source import Opened
from jaxlab.data.split import spread
from jaxlab.encode.fitted import Fitted
from jaxlab.encode.ridge import BandScore, Outcome, Ridge
from jaxlab.encode.shared import Subject
from jaxlab.encode.subjects import FittedSubjects
from jaxlab.metrics import over_targets


def training_rows(config: Ridge, samples: Samples) -> np.ndarray:
    """Ascending positions of the samples that are learned from; where there is a limit, as many of each subject."""
    return spread(
        np.arange(len(samples)), config.limit, samples.columns["subject"] if config.data.pools else None
    )


def own_rows(config: Ridge, pool: Samples, subject: str) -> np.ndarray:
    """Ascending positions, among the samples of one of several subjects, of those that are learned from."""
    own = np.flatnonzero(pool.columns["subject"] == subject)
    chosen = np.isin(own, training_rows(config, pool), assume_unique=True)
    return np.flatnonzero(chosen)


def check_gaps(opened: Opened) -> None:
    """Raises UserError for targets that are not known of some of a subject's own samples."""
    for name, one in (opened.subjects or {"": opened}).items():
        if one.train.target is not None and np.isnan(one.train.target).any():
            them = f"those of {name}" if name else "them"
            raise UserError(
                f"Ridge: expected targets without gaps, but data.missing_targets lets {them} have some: ridge "
                "regression solves for all targets at once. Leave such targets or samples out, or train a network on "
                "the features (Experiment with model=Features())"
            )


def divided(config: Ridge, opened: Opened, rows: np.ndarray) -> dict[str, Subject]:
    """{subject, "" of a single one: its rows among those learned from, its targets and folds}.

    Raises UserError for one whose samples are all in the same fold.
    """
    fold = config.split.numbers(opened.train)[rows]
    found = {}
    for name, one in (opened.subjects or {"": opened}).items():
        place, own = np.arange(len(rows)), rows
        if name:
            place = np.flatnonzero(opened.train.columns["subject"][rows] == name)
            own = own_rows(config, opened.train, name)
        if (count := len(np.unique(fold[place]))) < 2:
            of = f" of {name}" if name else ""
            raise UserError(
                f"Ridge.split: expected samples{of} in two folds or more, found {count} for {len(place)}"
            )
        assert one.train.target is not None
        found[name] = Subject(place, one.train.target[own], fold[place])
    return found


def together(parts: Mapping[str, Fitted], subjects: Mapping[str, Subject]) -> Fitted | FittedSubjects:
    """Of a single subject its own regression, else one of all."""
    if "" in parts:
        return parts[""]
    return FittedSubjects(parts, {name: one.rows for name, one in subjects.items()})


def report_subjects(
    console: Console, config: Ridge, outcomes: Mapping[str, Outcome], subjects: Mapping[str, Subject]
) -> None:
    """A line for each subject: the best band alone, or itself without the others, and what predicts."""
    title = f"{config.score}, {config.split.folds} folds pooled"
    table = Table(
        "subject", "images", "targets", "what predicts", "mean", "median", "penalty", title=title, box=None
    )
    for name, outcome in outcomes.items():
        for number, row in enumerate(_shown(outcome)):
            size = (f"{count:,}" for count in subjects[name].targets.shape)
            first: tuple[str | Text, ...] = (Text(name), *size) if number == 0 else ("", "", "")
            values = (f"{value:.4f}" for value in (row.mean, over_targets.median(row.score)))
            table.add_row(*first, Text(row.name), *values, f"{np.median(row.alpha):.3g}")
    console.print(table)
    final = [outcome.rows[-1] for outcome in outcomes.values()]
    score, alpha = (
        np.concatenate(part) for part in ([one.score for one in final], [one.alpha for one in final])
    )
    warn_of_penalties(console, config, BandScore("all", score, alpha))


def warn_of_penalties(console: Console, config: Ridge, row: BandScore) -> None:
    """Of targets without a score to choose by, and of penalties that end at the last ones tried."""
    defined = ~np.isnan(row.score)
    if not defined.all():
        console.print(
            f"warning: {config.score} is undefined for {np.sum(~defined):,} of {len(defined):,} targets, which are "
            "constant or predicted so: nothing is chosen by it, and they take the largest penalty"
        )
    ends = [edge for edge in (min(config.alphas), max(config.alphas)) if len(config.alphas) > 1]
    for edge in ends if defined.any() else ():
        share = float((row.alpha[defined] == np.float32(edge)).mean())
        if share > 0.05:
            console.print(
                f"warning: {share:.0%} of targets take the penalty {edge:g}, the last of Ridge.alphas; go further"
            )


def _shown(outcome: Outcome) -> list[BandScore]:
    """What it is compared with, the best of the others, where there are some; and what predicts."""
    *others, final = outcome.rows
    return [*sorted(others, key=lambda row: np.nan_to_num(row.mean))[-1:], final]
