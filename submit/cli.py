"""The command line: score, check, ensemble. Exit code 0 when all is well, 1 for a fault found or a mistake made."""

import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from submit import ensemble as combine
from submit import kaggle
from submit.errors import SubmissionError
from submit.predictions import Predictions
from submit.scoring import ClassScores, Scores, load_ceiling
from submit.scoring import score as scored
from submit.table import read_ids

_FILE = click.Path(path_type=Path)


class _Group(click.Group):
    """Prints our own errors, and click's about arguments, without a traceback, and exits with 1."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except SubmissionError as error:
            raise click.ClickException(str(error)) from error
        except click.UsageError as error:
            error.show()
            raise click.exceptions.Exit(1) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Score, check and combine predictions. Samples are matched by id and targets by name, never by position."""


@main.command()
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


@main.command()
@click.argument("file", type=_FILE)
@click.option("--against", type=_FILE, required=True, help="The competition's sample_submission.csv.")
def check(file: Path, against: Path) -> None:
    """Check FILE (CSV or npz) against a sample submission, and list every fault."""
    faults = kaggle.check(file, against)
    if faults:
        raise click.ClickException(
            f"{file} is not a valid submission:\n" + "\n".join(f"- {fault}" for fault in faults)
        )
    click.echo(f"{file}: a valid submission")


@main.command()
@click.argument("members", nargs=-1, required=True, type=_FILE)
@click.option("--out", type=_FILE, required=True, help="The file to write: .npz, or .csv.")
@click.option("--weights", help="One number a member, as in 0.3,0.7; equal when not given.")
@click.option(
    "--against", type=_FILE, help="A sample submission, which gives a CSV its rows, columns and names."
)
def ensemble(members: tuple[Path, ...], out: Path, weights: str | None, against: Path | None) -> None:
    """Average MEMBERS (npz or CSV), matched by id and target name, into one file."""
    if out.suffix.lower() not in (".npz", ".csv"):
        raise SubmissionError(f"--out {out}: expected a .npz or .csv file.")
    numbers = None if weights is None else _weights(weights, len(members))
    loaded = (Predictions.load(path) for path in members)
    result = combine.mean(loaded) if numbers is None else combine.weighted(loaded, numbers)
    if out.suffix.lower() == ".csv":
        kaggle.write(result, out, against)
    else:
        faults = [] if against is None else kaggle.check(result, against)
        if faults:
            raise SubmissionError(f"{out} was not written:\n" + "\n".join(f"- {fault}" for fault in faults))
        result.save(out)
    click.echo(
        f"{out}: {len(members)} predictions combined, {len(result):,} samples, {len(result.targets):,} targets"
    )


def _weights(text: str, members: int) -> list[float]:
    try:
        weights = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise SubmissionError(f"--weights: expected numbers as in 0.3,0.7; found {text!r}.") from error
    if len(weights) != members:
        raise SubmissionError(f"--weights: {len(weights)} weights for {members} predictions.")
    return weights


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
