"""`jaxlab evaluate`: scores of a run's checkpoints, and in detail by target, region or class."""

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from jaxlab.cli.arguments import ANY_FIELD, RunPath, example, importing, prepare, set_fields, trust_config
from jaxlab.core.types import UserError


@click.command(
    epilog=example(
        "evaluate runs/first --checkpoints all",
        "evaluate runs/first --details --out FOLDER",
        then="jaxlab predict runs/first --out submission.csv",
    )
)
@click.argument("run", type=RunPath())
@set_fields(ANY_FIELD)
@click.option(
    "--checkpoints", type=click.Choice(["best", "last", "all"]),
    help="Which to evaluate.  [default: best; of folds, last]",
)  # fmt: skip
@click.option("--details", is_flag=True, help="By region, or by class, with distributions and calibration.")
@click.option("--objective", metavar="NAME", help="Details of this one of several.  [default: the first]")
@click.option("--untrained", is_flag=True, help="Details of the network before training, too.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FOLDER",
    help="A new folder for the details, by target too, and pictures.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@trust_config
def evaluate(
    run: Path,
    settings: tuple[str, ...],
    checkpoints: Any,
    details: bool,
    objective: str | None,
    untrained: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Score a RUN's checkpoints on training and validation data.

    Validation scores that its metrics.jsonl lacks are added to it. With `--set inference.tta.shift=3`, or other fields
    of inference, those with it are shown beside them; details are of images as they are.
    """
    details = details or untrained or out is not None or objective is not None
    if details and checkpoints == "all":
        raise UserError("--details: expected one checkpoint, --checkpoints best or last, found all")
    with importing():
        from jaxlab.report import breakdown
        from jaxlab.runs.api import load
        from submit.cli.terminal import plain_console
        from submit.files.atomic import check_new_folder
    if out is not None:
        check_new_folder(out)
    prepare()
    loaded = load(run, settings)
    detailed = loaded.predicting(objective)
    scores: dict[Any, Any] = dict(loaded.evaluate_checkpoints(checkpoints))
    console = None if as_json else plain_console()
    if console is not None:
        print_scores(console, scores)
    if details:
        found = dict(breakdown.shown(detailed.breakdowns(checkpoints, untrained), console))
        scores["details"] = {name: breakdown.record(one) for name, one in found.items()}
        if out is not None:
            breakdown.write(found, out)
            click.echo(f"{out}: written", err=True)
    if as_json:
        click.echo(json.dumps(scores, indent=1))


def print_scores(console: Console, scores: dict[Any, dict[str, dict[str, float]]]) -> None:
    """By step, or by variant of a study."""
    from jaxlab.core.score_tables import score_tables

    first = "step" if all(isinstance(key, int) for key in scores) else "run"
    rows = [
        ((str(step), split), {name: f"{value:.4g}" for name, value in values.items()})
        for step, by_split in scores.items()
        for split, values in by_split.items()
    ]
    for table in score_tables(console, (first, "split"), rows):
        console.print(table)
