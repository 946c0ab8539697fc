"""Variants of an experiment, each a study of seeds, and scores of one's own of every seed beside one another."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

import jaxlab
from jaxlab.core.intervals import interval
from jaxlab.core.score_tables import score_tables
from jaxlab.experiment import Experiment, Seeds

Scores = dict[str, float]


def measured(
    variants: Mapping[str, Experiment], seeds: int, out: Path, scores_of: Callable[[Any], Scores]
) -> dict[str, list[Scores]]:
    """{variant: the scores of each seed}; OUT/VARIANT is a study of seeds. scores_of: a trained run -> its scores."""
    found = {}
    for name, experiment in variants.items():
        study = jaxlab.train(
            Seeds(experiment=experiment, seeds=seeds), out / name, console=Console(quiet=True)
        )
        trained: Any = jaxlab.load(study, trust=True)
        found[name] = [scores_of(run) for run in trained.runs.values()]
    return found


def show(found: Mapping[str, Sequence[Scores]]) -> None:
    """Means and standard deviations over seeds, a line for each variant."""
    lines = [((name, str(len(each))), _cells(each)) for name, each in found.items()]
    console = Console(width=160)
    for table in score_tables(console, ("", "seeds"), lines):
        console.print(table)


def _cells(each: Sequence[Scores]) -> dict[str, str]:
    cells = {}
    for score in dict.fromkeys(name for scores in each for name in scores):
        one = interval([scores[score] for scores in each if score in scores])
        cells[score] = f"{one.mean:.3f}" + (f" ± {one.sd:.3f}" if one.n > 1 else "")
    return cells
