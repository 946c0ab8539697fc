"""`jaxlab bundle`: one folder for a machine without network."""

from pathlib import Path
from typing import Any

import click

from jaxlab.cli.arguments import CheckpointName, Here, RunPath, example, say, trust_config
from jaxlab.core.garbage import without_collecting


@click.command(
    epilog=example("bundle runs/first --out kaggle", then="read kaggle/README.txt: how to upload it")
)
@click.argument("runs", nargs=-1, required=True, type=RunPath())
@click.option("--out", type=Here(), required=True, metavar="FOLDER", help="The folder to make.")
@click.option(
    "--data", metavar="PATH", help="The competition's folder on Kaggle.  [default: the notebook looks for it]"
)
@click.option(
    "--checkpoint", type=CheckpointName(), help="best, last or a step.  [default: best; of folds, last]"
)
@click.option(
    "--everything", is_flag=True, help="Bring all dependencies, for a machine like this one without any."
)
@click.option(
    "--image", type=Here(), metavar="FREEZE.txt",
    help="What `pip freeze` prints on Kaggle, if its image has changed.",
)  # fmt: skip
@click.option("--python", metavar="VERSION", help="The Python there, as 3.13.  [default: 3.12, Kaggle's]")
@trust_config
def bundle(runs: tuple[Path, ...], out: Path, checkpoint: Any, **options: Any) -> None:
    """Bundle RUNS into one folder for Kaggle without a network.

    It holds checkpoints, weights, wheels, and a notebook that writes submission.csv. The wheels are jaxlab's own and
    what Kaggle's image lacks of its dependencies.
    """
    with without_collecting():
        from jaxlab.bundling import bundle as make
    make(runs, out, which=checkpoint, **options, tell=say)
