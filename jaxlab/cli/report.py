"""`jaxlab report` and `jaxlab compare`: what came of a run, or of several."""

from pathlib import Path
from typing import Any

import click

from jaxlab.cli.arguments import (
    ANY_FIELD,
    Here,
    Output,
    RunPath,
    example,
    prepare,
    say,
    set_fields,
    trust_config,
)
from jaxlab.core.files import check_place
from jaxlab.core.garbage import without_collecting
from jaxlab.core.types import UserError


@click.command(
    epilog=example(
        "report runs/first --out report.html",
        "report runs/first runs/second --out both.html --quick",
        then="open report.html in a browser; it loads nothing from elsewhere",
    )
)
@click.argument("runs", type=RunPath(), nargs=-1, required=True)
@click.option("--out", type=Output(".html"), metavar="FILE", help="The page, an .html file.")
@click.option(
    "--pictures",
    type=Here(),
    metavar="FOLDER",
    help="A new folder for the pictures, as PNG.",
)
@click.option(
    "--notebook", type=Output(".ipynb"), metavar="FILE", help="A notebook that makes the same, .ipynb."
)
@click.option("--quick", is_flag=True, help="Predict nothing: show what the runs have kept.")
@click.option("--objective", metavar="NAME", help="Of this one of several.  [default: the first]")
@click.option("--subject", metavar="NAME", help="Of runs of several subjects, this one.")
@click.option(
    "--coordinates", type=Here(exists=True, dir_okay=False), metavar="FILE",
    help="A .csv of where targets lie: target, x, y.  [default: that of a RetinaMap]",
)  # fmt: skip
@click.option(
    "--to", metavar="TRACKER", help="mlflow, mlflow:URI or wandb: config, scores and the page go there, too."
)
@set_fields(ANY_FIELD)
@trust_config
def report(
    runs: tuple[Path, ...],
    out: Path | None,
    pictures: Path | None,
    notebook: Path | None,
    to: str | None,
    settings: tuple[str, ...],
    **how: Any,
) -> None:
    """Make one page of a RUN or a study: scores, curves, images.

    It says what was trained on what, and shows predictions beside targets; several runs are shown side by side. The
    page opens offline and prints; nothing is written into the runs. Labelled samples are predicted where a run has not
    kept such predictions.
    """
    if not any((out, pictures, notebook, to)):
        raise UserError(
            "report: expected --out FILE.html, --pictures FOLDER, --notebook FILE.ipynb or --to TRACKER, found none"
        )
    with without_collecting():
        from jaxlab.report.results.cells import write_notebook
        from jaxlab.report.results.exporters import exporter
        from jaxlab.report.results.report import report as made
        from submit.files.atomic import check_new_folder, refuse_input
    send = exporter(to) if to is not None else None
    if pictures is not None:
        check_new_folder(pictures)
        check_place(pictures, "--pictures")
    if notebook is not None:
        write_notebook(notebook, runs, settings, _options(how))
        say(f"{notebook}: written")
    if not any((out, pictures, to)):
        return
    if out is not None:
        refuse_input(
            out, [how["coordinates"], *(file for run in runs for file in run.iterdir() if file.is_file())]
        )
    prepare()
    found = made(runs, settings, log=say, **how)
    if out is not None:
        found.write(out)
        say(f"{out}: written, {out.stat().st_size / 1e6:.1f} MB")
    if pictures is not None:
        say(f"{pictures}: {len(found.pictures(pictures))} pictures")
    if send is not None:
        for reading in found.readings:
            say(send(reading, out))


@click.command(epilog=example("compare runs/first runs/second", then="jaxlab report RUN RUN --out page.html"))
@click.argument("runs", type=RunPath(), nargs=-1, required=True)
@click.option("--quick", is_flag=True, help="Predict nothing: compare what the runs have kept.")
@click.option("--objective", metavar="NAME", help="Of this one of several.  [default: the first]")
@click.option("--subject", metavar="NAME", help="Of runs of several subjects, this one.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@set_fields(ANY_FIELD)
@trust_config
def compare(runs: tuple[Path, ...], settings: tuple[str, ...], as_json: bool, **how: Any) -> None:
    """Compare RUNS: scores with paired differences, and configs.

    With time and memory, and what differs in the configs. Differences are to the first, of
    the samples that both runs predicted and neither learned, with 95 % intervals; of two studies, of their runs of the
    same name. Of runs that pool several subjects name one (--subject), which may be that of a run by itself.
    """
    if len(runs) < 2:
        raise UserError("compare: expected two runs or more, found one")
    with without_collecting():
        from jaxlab.report.results import terminal
    prepare()
    terminal.show(runs, settings, as_json=as_json, log=say, **how)


def _options(how: dict[str, Any]) -> dict[str, Any]:
    """What was asked for, as Python says it."""
    asked = {name: value for name, value in how.items() if value}
    return {name: str(value.resolve()) if isinstance(value, Path) else value for name, value in asked.items()}
