"""`jaxlab data ...`: commands about the data alone."""

from pathlib import Path

import click


@click.group()
def data() -> None:
    """Prepare and examine data."""


@data.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--set", "settings", multiple=True, metavar="FIELD=VALUE",
    help="Override a field, e.g. data.root=FOLDER.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="PAGE.html", help="Write a page with pictures."
)
@click.option(
    "--duplicates", type=click.Path(path_type=Path), metavar="FILE.csv",
    help="Write the ids of images that look like one of another split.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def audit(
    config: Path, settings: tuple[str, ...], out: Path | None, duplicates: Path | None, as_json: bool
) -> None:
    """Examine the images and targets of the experiment in CONFIG.

    Counts, sizes, colours, targets and classes; images that are corrupt, padded, blank, or that look the same,
    within and across training, validation and test data.
    """
    from jaxlab.config import load_file, override
    from jaxlab.experiment import Experiment
    from jaxlab.report import audit as examination
    from jaxlab.types import UserError

    experiment = override(load_file(config), settings)
    if not isinstance(experiment, Experiment):
        raise UserError(f"config {config}: expected an Experiment, found {type(experiment).__name__}")
    examination.show(experiment, out=out, duplicates=duplicates, as_json=as_json)
