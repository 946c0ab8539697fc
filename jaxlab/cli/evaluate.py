"""`jaxlab evaluate`: scores of a run's checkpoints, and in detail by target, region or class."""

import json
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from jaxlab.cli.arguments import (
    ANY_FIELD,
    Here,
    RunPath,
    example,
    prepare,
    registry_option,
    say,
    set_fields,
    trust_config,
)
from jaxlab.core.files import check_place
from jaxlab.core.garbage import without_collecting
from jaxlab.core.types import UserError


@click.command(
    epilog=example(
        "evaluate runs/first --checkpoints all",
        "evaluate runs/first --details --out FOLDER",
        "evaluate --pending runs --watch",
        then="jaxlab predict runs/first --out submission.csv",
    )
)
@click.argument("run", type=click.Path(path_type=Path, readable=False), required=False)
@set_fields(ANY_FIELD)
@click.option(
    "--checkpoints", type=click.Choice(["best", "last", "all"]),
    help="Which to evaluate.  [default: best; of folds, last]",
)  # fmt: skip
@click.option("--details", is_flag=True, help="By region, or by class, with distributions and calibration.")
@click.option("--objective", metavar="NAME", help="Details of this one of several.  [default: the first]")
@click.option("--untrained", is_flag=True, help="Details of the network before training, too.")
@click.option(
    "--out", type=Here(), metavar="FOLDER",
    help="A new folder for the details, by target too, and pictures.",
)  # fmt: skip
@click.option(
    "--pending",
    is_flag=True,
    help="Validate the checkpoints in RUN, a folder of runs, that nobody has validated.",
)
@click.option("--watch", is_flag=True, help="With --pending: and those that come, until it is stopped.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@registry_option
@trust_config
def evaluate(
    run: Path | None,
    settings: tuple[str, ...],
    checkpoints: Any,
    details: bool,
    objective: str | None,
    untrained: bool,
    out: Path | None,
    pending: bool,
    watch: bool,
    as_json: bool,
) -> None:
    """Score a RUN's checkpoints on training and validation data.

    Validation scores that its metrics.jsonl lacks are added to it. With `--set inference.tta.shift=3`, or other fields
    of inference, those with it are shown beside them; details are of images as they are. With `--set data.root=NEW`,
    other labelled data than it was trained on, all of them are scored.

    With --pending RUN is a folder of runs (default: runs), or one: each checkpoint that has no validation scores gets
    them, from whichever of several watchers is first, and the best of a run trained with
    `training.validate="elsewhere"` is chosen.
    """
    if pending or watch:
        given = {"--checkpoints": checkpoints, "--details": details, "--objective": objective}
        given |= {"--untrained": untrained, "--out": out}
        _pending(run, settings, pending, watch, as_json, [name for name, value in given.items() if value])
        return
    if run is None:
        raise click.UsageError("Missing argument 'RUN'.")
    run = RunPath().convert(run, None, None)
    details = details or untrained or out is not None or objective is not None
    if details and checkpoints == "all":
        raise UserError("--details: expected one checkpoint, --checkpoints best or last, found all")
    with without_collecting():
        from jaxlab.report import breakdown
        from jaxlab.runs.api import load
        from submit.cli.terminal import plain_console
        from submit.files.atomic import check_new_folder
        from submit.files.json_text import json_of
    if out is not None:
        check_new_folder(out)
        check_place(out, "--out")
    prepare()
    loaded = load(run, settings)
    detailed = loaded.predicting(objective)
    scores: dict[Any, Any] = dict(loaded.evaluation(checkpoints))
    console = None if as_json else plain_console()
    if console is not None:
        print_scores(console, scores)
    if details:
        found = dict(breakdown.shown(detailed.breakdowns(checkpoints, untrained), console))
        scores["details"] = {name: breakdown.record(one) for name, one in found.items()}
        if out is not None:
            breakdown.write(found, out)
            say(f"{out}: written")
    if as_json:
        click.echo(json_of(scores, 1))


def _pending(
    folder: Path | None,
    settings: tuple[str, ...],
    pending: bool,
    watch: bool,
    as_json: bool,
    given: list[str],
) -> None:
    """Validate what is pending. given: options that have no part in it."""
    if not pending:
        raise UserError("--watch: expected --pending with it, as `jaxlab evaluate --pending --watch`")
    if given:
        raise UserError(
            f"--pending: expected no {given[0]}: it validates checkpoints, and shows no more of them"
        )
    with without_collecting():
        from jaxlab.runs.registry.pending import validate_pending
    prepare()
    outcome = validate_pending(folder, settings, watch, lambda line: click.echo(line, err=as_json))
    if as_json:
        click.echo(
            json.dumps(
                {"validated": outcome.validated, "failed": outcome.failed, "left": outcome.left}, indent=1
            )
        )
    if outcome.failed:
        sys.exit(1)


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
