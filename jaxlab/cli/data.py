"""`jaxlab data ...`: commands about the data alone."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from jaxlab.cli.arguments import Here, Output, example, set_fields
from jaxlab.cli.arguments import prepare as prepare_process
from jaxlab.cli.configs import ConfigPath, loaded
from jaxlab.core.garbage import without_collecting
from jaxlab.core.types import UserError

if TYPE_CHECKING:
    from jaxlab.data import Images, Source


@click.group(
    epilog=example(
        "data audit shallow_cnn --set data.root=FOLDER",
        then="jaxlab train shallow_cnn --set data.root=FOLDER",
    )
)
def data() -> None:
    """Prepare and examine data."""


@data.command(
    epilog=example(
        "data prepare shallow_cnn prepared --set data.root=FOLDER",
        then="in a config data=Tfds(root='prepared'), images=Images(), and train it",
    )
)
@click.argument("config", type=ConfigPath())
@click.argument("out", type=Here())
@click.option("--size", nargs=2, type=click.IntRange(1), metavar="HEIGHT WIDTH", help="As images.size.")
@set_fields("Override a field, e.g. data.root=FOLDER.")
def prepare(config: Path, out: Path, size: tuple[int, int] | None, settings: tuple[str, ...]) -> None:
    """Write CONFIG's data to OUT, a new TensorFlow dataset.

    Images are resized once, as the config's `images` say, into ArrayRecord shards; train with data=Tfds(root=OUT).

    CONFIG defines an `experiment`: an Experiment, or a source of data alone.
    """
    with without_collecting():
        source, images = _data_of(config, settings, size)
        from jaxlab.core.config import identity
        from jaxlab.data.prepare.prepare import prepare as write
        from jaxlab.training.rundir import provenance
    prepare_process()
    opened = source.open()
    write(opened, images, out, {"source": identity(source), "images": identity(images), **provenance()})
    test = 0 if opened.test is None else len(opened.test)
    what = "targets" if opened.kind == "regression" else "classes"
    click.echo(
        f"{out}: {len(opened.train):,} labelled images and {test:,} to predict, {len(opened.targets):,} {what}"
    )
    click.echo(
        f"train on it with data=Tfds(root={str(out)!r}) and images=Images(): they have their size", err=True
    )


@data.command(
    epilog=example(
        "data coordinates subj01 sphere.csv --lh lh.sphere --rh rh.sphere",
        then='in a config head=RetinaMap(coordinates="sphere.csv"), and train it',
    )
)
@click.argument("subject", type=Here())
@click.argument("out", type=Output(".csv"))
@click.option("--lh", type=Here(), help="The left hemisphere's surface.")
@click.option("--rh", type=Here(), help="The right hemisphere's.")
@click.option(
    "--with-subject", is_flag=True, help="Name targets subj01.lh.00042, as Algonauts of several subjects."
)
@click.option("--pooled", is_flag=True, help="Name them subj01/lh.00042, as Pooled data.")
def coordinates(
    subject: Path, out: Path, lh: Path | None, rh: Path | None, with_subject: bool, pooled: bool
) -> None:
    """Write where an Algonauts SUBJECT's vertices lie to OUT.

    OUT is a table for readouts. SUBJECT is a folder of Algonauts 2023, whose roi_masks say which vertices of fsaverage
    its responses are of. Surfaces are FreeSurfer's (fsaverage/surf/lh.sphere), or .npy files of (163842, 3) numbers.
    """
    with without_collecting():
        from jaxlab.core.subjects import SEPARATOR
        from jaxlab.data.prepare.coordinates import write_coordinates
    if with_subject and pooled:
        raise click.UsageError("--with-subject, --pooled: expected one of them, found both")
    name = subject.absolute().name
    before = f"{name}{SEPARATOR}" if pooled else f"{name}." if with_subject else ""
    surfaces = {name: path for name, path in (("lh", lh), ("rh", rh)) if path is not None}
    count = write_coordinates(subject, surfaces, out, before)
    click.echo(f"{out}: written, {count:,} targets")


def _data_of(
    config: Path, settings: tuple[str, ...], size: tuple[int, int] | None
) -> tuple["Source", "Images"]:
    """What CONFIG says of data and images."""
    from dataclasses import replace

    found = loaded(config, settings)
    from jaxlab.data import Images, Source
    from jaxlab.experiment import Experiment
    from jaxlab.experiment.study import innermost

    if isinstance(found, Source):
        return found, Images(size=size)
    found = innermost(found)
    if not isinstance(found, Experiment):
        raise UserError(
            f"config {config}: expected an Experiment or a source of data, found {type(found).__name__}"
        )
    images = replace(found.images, size=size or found.images.size)
    settled = ("filter", *(("crop_fraction", "crop_from") if images.policy == "crop" else ()))
    needed = [f"images.{name}" for name in settled if getattr(images, name) is None]
    sees = next(iter(found.model.parts.values()))
    if getattr(sees, "pretrained", None) and images.size and needed:
        raise UserError(
            f"config {config}: leaves {' and '.join(needed)} to the pretrained weights, which training on prepared "
            "data could not follow; say what `jaxlab train` prints at its start, e.g. --set images.filter=bicubic "
            "(crop_from: resized where it says 'as timm does', else box)"
        )
    return found.data, images


@data.command(
    epilog=example(
        "data audit shallow_cnn --set data.root=FOLDER --out page.html",
        then="jaxlab train shallow_cnn --set data.root=FOLDER",
    )
)
@click.argument("config", type=ConfigPath())
@set_fields("Override a field, e.g. data.root=FOLDER.")
@click.option("--out", type=Output(".html"), metavar="PAGE.html", help="Write a page with pictures.")
@click.option(
    "--duplicates", type=Output(".csv"), metavar="FILE.csv",
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
    with without_collecting():
        found = loaded(config, settings)
        from jaxlab.experiment import Experiment
        from jaxlab.experiment.study import innermost
    experiment = innermost(found)
    if not isinstance(experiment, Experiment):
        raise UserError(f"config {config}: expected an Experiment, found {type(experiment).__name__}")
    with without_collecting():
        from jaxlab.report import audit as examination
    prepare_process()
    examination.show(experiment, out=out, duplicates=duplicates, as_json=as_json)
