"""Commands on scores: score."""

import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from submit.scoring import ClassScores, Scores, load_ceiling
from submit.scoring import score as scored
from submit.table import read_ids

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("predictions", type=_FILE)
@click.argument("solution", type=_FILE)
@click.option(
    "--ceiling", type=_FILE, help="A .npy of noise ceilings: share of variance, 0 to 1, one a target."
)
@click.option(
    "--without", type=_FILE, help="A CSV whose first column holds ids to leave out, such as near-duplicates."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the correlation of every target.")
def score(
    predictions: Path, solution: Path, ceiling: Path | None, without: Path | None, as_json: bool
) -> None:
    """Score PREDICTIONS (npz or CSV) against the SOLUTION (CSV or npz).

    Pearson correlation and explained variance of each target, or accuracy where the solution holds class names.
    The ceiling's values are in the order of the solution's columns.
    """
    result = scored(
        predictions,
        solution,
        None if ceiling is None else load_ceiling(ceiling),
        None if without is None else read_ids(without),
    )
    if as_json:
        click.echo(json.dumps(result.to_dict()))
    else:
        Console().print(_table(result))


def _table(result: Scores | ClassScores) -> Table:
    table = Table(show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in _rows(result).items():
        table.add_row(name, f"{value:.4f}" if isinstance(value, float) else f"{value:,}")
    return table


def _rows(result: Scores | ClassScores) -> dict[str, float | int]:
    if isinstance(result, ClassScores):
        rows: dict[str, float | int | None] = {"accuracy": result.accuracy, "top-5 accuracy": result.top5}
        rows |= {"samples": result.samples, "classes": result.classes}
        return {name: value for name, value in rows.items() if value is not None}
    found = result.to_dict()
    rows = {
        "Pearson r, median": result.median,
        "Pearson r, mean": result.mean,
        "share of ceiling, median (r / sqrt(ceiling))": found.get("noise_normalised_median"),
        "share of ceiling, mean": found.get("noise_normalised_mean"),
        "targets with a ceiling above 0": found.get("noise_normalised_targets"),
        "explained variance, mean": found["explained_variance_mean"],
        "accuracy, if these are class numbers": result.accuracy,
        "samples": result.samples,
        "targets": found["targets"],
        "constant targets (counted as 0)": result.constant,
    }
    return {name: value for name, value in rows.items() if value is not None}
