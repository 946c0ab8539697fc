"""`jaxlab inspect`: what a run, a checkpoint or a file of weights holds, and whether it would load."""

import sys
from pathlib import Path

import click

from jaxlab.cli.arguments import example, set_fields
from jaxlab.cli.configs import ConfigPath
from jaxlab.cli.training import trainable
from jaxlab.core.garbage import without_collecting
from jaxlab.core.types import UserError


@click.command(
    epilog=example(
        "inspect runs/first --stats",
        "inspect resnet50.safetensors --for resnet_finetune",
        then="jaxlab inspect runs/first --diff runs/second",
    )
)
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--stats", is_flag=True, help="Norm, mean, standard deviation and NaN count of each leaf.")
@click.option("--diff", type=click.Path(path_type=Path), metavar="OTHER", help="What differs from OTHER.")
@click.option(
    "--for", "config", type=ConfigPath(), metavar="CONFIG",
    help="Whether these weights load into CONFIG's network, and what mends it where not.",
)  # fmt: skip
@set_fields("With --for: override a field of CONFIG, e.g. model.depth=50.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def inspect(
    path: Path, stats: bool, diff: Path | None, config: Path | None, settings: tuple[str, ...], as_json: bool
) -> None:
    """Show what a run, a checkpoint or a file of weights holds.

    With --for nothing is trained: the exit code is 0 where the weights would load, and 1 where they would not.
    """
    from jaxlab.core.remote.paths import fetched

    if config is not None:
        if stats or diff:
            raise UserError(
                "--for: has no part in --stats and --diff, which show what the weights themselves are"
            )
        with without_collecting():
            experiment = trainable(config, settings)
            from jaxlab.report import fitting_shown
        sys.exit(0 if fitting_shown.show(fetched(path), config, experiment, as_json=as_json) else 1)
    if settings:
        raise UserError("--set: expected --for CONFIG with it, whose fields it overrides, found none")
    from jaxlab.report import checkpoint

    checkpoint.show(fetched(path), stats=stats, other=fetched(diff) if diff else None, as_json=as_json)
