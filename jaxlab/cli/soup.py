"""`jaxlab soup`: parameters averaged over runs or over a run's checkpoints."""

from pathlib import Path
from typing import Any

import click

from jaxlab.cli.arguments import (
    Here,
    KeptCheckpoints,
    RunPath,
    example,
    prepare,
    set_fields,
    trust_config,
)
from jaxlab.core.garbage import without_collecting


@click.command(
    epilog=example(
        "soup runs/first runs/second --out runs/soup --greedy",
        "soup runs/first --out runs/average --checkpoints last:5",
        then="jaxlab evaluate runs/soup",
    )
)
@click.argument("runs", nargs=-1, required=True, type=RunPath())
@click.option("--out", type=Here(), required=True, help="The new run directory.")
@click.option("--greedy", is_flag=True, help="Take a member only where the validation score does not fall.")
@click.option(
    "--checkpoint", type=click.Choice(["best", "last"]), help="Of each RUN.  [default: best of several]"
)
@click.option(
    "--checkpoints",
    type=KeptCheckpoints(),
    metavar="all|last:N",
    help="Several of each RUN, of those it kept.  [default: all of one]",
)
@set_fields("Where the data lie now, e.g. data.root=FOLDER.")
@trust_config
def soup(runs: tuple[Path, ...], out: Path, **options: Any) -> None:
    """Average the parameters of RUNS, in a new run.

    Of one RUN, those of its checkpoints are averaged. The new run predicts, is evaluated and inspected like any run,
    at the cost of one. All is chosen and scored on validation images, which a greedy soup's members must share;
    batch-norm statistics are measured on training images.
    """
    with without_collecting():
        from jaxlab.runs.soup.soup import soup as make
    prepare()
    click.echo(make(runs, out, **options))
