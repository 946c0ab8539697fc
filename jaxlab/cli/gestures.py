"""`jaxlab gestures`: few small images of hands, as a Kaggle folder."""

from pathlib import Path
from typing import Any

import click

from jaxlab.cli.arguments import Here, example


@click.command(
    epilog=example("gestures hands --imbalance 4", then="jaxlab train gesture_lenet5 --set data.root=hands"),
)
@click.argument("folder", type=Here())
@click.option("--images", default=1500, show_default=True, help="Labelled images.")
@click.option("--test-images", default=500, show_default=True, help="Images to predict.")
@click.option("--size", default=64, show_default=True, help="Height and width, in pixels.")
@click.option(
    "--imbalance",
    default=1.0,
    show_default=True,
    help="So many times as frequent as the last class is the first.",
)
@click.option("--seed", default=0, show_default=True, help="Of everything.")
def gestures(folder: Path, **fields: Any) -> None:
    """Write simulated hand gestures to FOLDER.

    It becomes a Kaggle folder, with its solution.csv. Classes: none, point, victory, thumb_up, thumb_down.
    """
    from jaxlab.data.sources.gestures import Gestures

    source = Gestures(**fields)
    source.write_kaggle(folder)
    click.echo(f"{folder}: {source.images} + {source.test_images} images of {len(source.shares)} classes")
