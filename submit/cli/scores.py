"""Commands on scores: score, rosetta, compare, probe."""

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from submit import metrics
from submit.cli import tables
from submit.cli.breakdown import class_rows, show_classes, show_regions, target_rows
from submit.cli.terminal import plain_console
from submit.errors import SubmissionError, about
from submit.files.atomic import atomic_folder, check_new_folder
from submit.files.csv_records import is_csv
from submit.files.csv_table import read_ids
from submit.files.json_text import json_of
from submit.regions import hemispheres, load_regions
from submit.scores.by_class import ByClass, by_class
from submit.scores.by_target import ByTarget, by_target
from submit.scores.compare import compare as compared
from submit.scores.folder import write_scores
from submit.scores.pairing import PairedClasses, PairedNumbers, paired
from submit.scores.probe import probe as probed
from submit.scores.repeats import load_repeats
from submit.scores.rosetta import Rosetta
from submit.scores.rosetta import rosetta as translated
from submit.scores.rosetta_classes import ClassRosetta, rosetta_classes
from submit.scores.scoring import ClassScores, Scores, load_ceiling, score_by_usage, score_pair

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
@click.option("--rois", type=_FILE, help="Regions: a .npz of masks, or a .csv of targets and their regions.")
@click.option("--out", type=_FILE, help="A new folder for tables by target, region or class, and pictures.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the scores of every target or class.")
def score(
    predictions: Path,
    solution: Path,
    ceiling: Path | None,
    without: Path | None,
    rois: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Score PREDICTIONS against a SOLUTION, each an npz or CSV.

    Pearson correlation, explained variance and spread of each target, and how far its distribution is from the truth's;
    or, where the solution holds class names, accuracy, precision, recall and F1 of each class, what is taken for what,
    and calibration. The ceiling's values are in the order of the solution's columns. A solution in Kaggle's own form,
    with a last column Usage, is scored as a whole and by Usage.

    \b
    Example:
      python -m submit score runs/a/predictions/validation.npz train.csv

    Then: `rosetta` for every challenge's score, `compare` for the difference to another prediction.
    """
    left_out = None if without is None else read_ids(without, _ids_of(solution))
    if out is not None:
        check_new_folder(out)
    both = paired(predictions, solution, left_out)
    result = score_pair(both, ceiling)
    found = _breakdown(both, ceiling, rois)
    by_usage = score_by_usage(both, solution, ceiling)
    parts = {name: one.to_dict() for name, one in by_usage.items()}
    record = {**result.to_dict(), **found.to_dict(), **({"usage": parts} if parts else {})}
    console = plain_console()
    if as_json:
        click.echo(json_of(record))
    else:
        for name, one in by_usage.items():
            console.print(Text(name), _table(one), sep="\n")
        console.print(*([Text("all")] if by_usage else []), _table(result, found), sep="\n")
        _show(console, found)
        _say_left_out(result.samples, result.left_out, solution)
    if out is not None:
        with atomic_folder(out) as folder:
            names = write_scores(record, found, folder)
        click.echo(f"{out}: {', '.join(names)}", err=True)


def _breakdown(
    pair: PairedNumbers | PairedClasses, ceiling: Path | None, rois: Path | None
) -> ByTarget | ByClass:
    if isinstance(pair, PairedClasses):
        if rois is not None:
            raise SubmissionError("--rois: regions are of targets; this solution holds class names.")
        return by_class(pair)
    regions = hemispheres(pair.targets) if rois is None else load_regions(rois, pair.targets)
    return by_target(pair, None if ceiling is None else load_ceiling(ceiling), regions)


def _show(console: Console, found: ByTarget | ByClass) -> None:
    if isinstance(found, ByClass):
        console.print()
        show_classes(console, found)
    elif len(found.regions) > 1:
        console.print()
        show_regions(console, found)


def _ids_of(solution: Path) -> frozenset[str]:
    """Of a CSV; none of another file, which is then told of by whoever reads it."""
    return frozenset(read_ids(solution).tolist()) if is_csv(solution) else frozenset()


@click.command()
@click.argument("predictions", type=_FILE)
@click.argument("truth", type=_FILE)
@click.option(
    "--ceiling", type=_FILE, help="A .npy of noise ceilings: share of variance, 0 to 1, one a target."
)
@click.option("--rois", type=_FILE, help="Regions: a .npz of masks, or a .csv of targets and their regions.")
@click.option(
    "--repeats", type=_FILE, help="Single presentations: a .npz, or a .csv like TRUTH with a row for each."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def rosetta(
    predictions: Path,
    truth: Path,
    ceiling: Path | None,
    rois: Path | None,
    repeats: Path | None,
    as_json: bool,
) -> None:
    """Score PREDICTIONS under every challenge's definition.

    Each score of PREDICTIONS against TRUTH has a bootstrap 95 % interval over samples. A .npz of --rois holds a bool
    mask a region, in the order of TRUTH's columns; a .csv two columns, target and region. Vertices named as lh.00042
    are shown by hemisphere without it. A .npz of --repeats holds ids (n,), targets (t,) and values (n, repeats, t), NaN
    where one is missing.

    \b
    Example:
      python -m submit rosetta test.npz solution.csv --ceiling ceiling.npy

    Then: `compare` tells whether another prediction is really better.
    """
    both = paired(predictions, truth)
    found: Rosetta | ClassRosetta
    if isinstance(both, PairedClasses):
        options = {"--ceiling": ceiling, "--rois": rois, "--repeats": repeats}
        if given := [name for name, value in options.items() if value is not None]:
            raise SubmissionError(f"{', '.join(given)}: for numbers, but {truth} holds class names.")
        found = rosetta_classes(both)
    else:
        shares = None
        if ceiling is not None:
            values = load_ceiling(ceiling)
            with about(ceiling):
                shares = metrics.shares(values, len(both.targets))
        regions = hemispheres(both.targets) if rois is None else load_regions(rois, both.targets)
        shown = None if repeats is None else load_repeats(repeats, both.ids, both.targets)
        found = translated(both, shares, regions, shown)
    if as_json:
        click.echo(json_of(found.to_dict()))
    else:
        tables.show(found)
        _say_left_out(len(both.ids), both.left_out, truth)


@click.command()
@click.argument("predictions", nargs=-1, required=True, type=_FILE)
@click.option("--truth", type=_FILE, required=True, help="The solution (CSV or npz).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compare(predictions: tuple[Path, ...], truth: Path, as_json: bool) -> None:
    """Score several PREDICTIONS, and their differences to the first.

    Differences have 95 % intervals, paired over samples.

    \b
    Example:
      python -m submit compare a.npz b.npz --truth solution.csv

    Then: `ensemble` combines them.
    """
    found = compared(predictions, truth)
    if as_json:
        click.echo(json_of([one.to_dict() for one in found]))
    else:
        tables.show_compared(found)
        _say_left_out(found[0].samples, found[0].left_out, truth)


@click.command()
@click.argument("predictions", type=_FILE)
@click.argument("truth", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def probe(predictions: Path, truth: Path, as_json: bool) -> None:
    """Find out if PREDICTIONS lie under the wrong ids or columns.

    The ids of PREDICTIONS, of a validation split, are shuffled: unless the score collapses, something is misaligned.
    Other orders of ids and of targets or classes are tried too, also from some id on, as where a sample was lost, and
    single samples and columns in one another's place. Exits with 1 where one surely scores higher than by name; notes
    say what may be, and what these samples and targets could not show. An exchange of a few columns that are much
    alike, or badly predicted, can go unseen, and one among more than 1,024 columns is not looked for.

    \b
    Example:
      python -m submit probe runs/a/predictions/validation.npz train.csv

    Then: nothing if all is well; otherwise put ids and columns right where the file was made.
    """
    both = paired(predictions, truth)
    found = probed(both)
    if as_json:
        click.echo(json_of(found.to_dict()))
    else:
        tables.show_probe(found)
        _say_left_out(len(both.ids), both.left_out, truth)
    if found.findings:
        raise click.ClickException(
            f"{predictions} seems misaligned with {truth}:\n"
            + "\n".join(f"- {one}" for one in found.findings)
        )


def _say_left_out(samples: int, left_out: int, truth: Path) -> None:
    if left_out:
        click.echo(
            f"{samples:,} of {samples + left_out:,} ids of {truth} are predicted; the others are left out"
        )


def _table(result: Scores | ClassScores, found: ByTarget | ByClass | None = None) -> Table:
    table = Table(show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    rows = _rows(result)
    if isinstance(found, ByClass):
        rows |= class_rows(found)
    elif found is not None:
        rows |= target_rows(found)
    for name, value in rows.items():
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
        "those constant in the truth": result.constant_truth or None,
    }
    return {name: value for name, value in rows.items() if value is not None}
