"""`jaxlab predict`: a split of a run's data, or a folder of images, as predictions and a file."""

from pathlib import Path
from typing import Any

import click

from jaxlab.cli.arguments import (
    CheckpointName,
    Here,
    Output,
    RunPath,
    example,
    prepare,
    say,
    set_fields,
    trust_config,
)
from jaxlab.core.garbage import without_collecting
from jaxlab.core.types import UserError


@click.command(
    epilog=example(
        "predict runs/first --out submission.csv",
        "predict runs/first runs/second --out mean.csv",
        "predict runs/pooled --out FOLDER",
        "predict runs/first --images FOLDER --out predicted.csv",
        then="python -m submit score submission.csv solution.csv",
    )
)
@click.argument("runs", nargs=-1, required=True, type=RunPath())
@click.option(
    "--out", type=Output(".csv", ".npz", ".json", ".parquet", folder=True),
    help="FILE.csv (checked) or FILE.npz; of answers to questions FILE.json, as VQA v2 and VizWiz take it; of --images "
    "FILE.parquet, too; of a run of several subjects a FOLDER.",
)  # fmt: skip
@set_fields("Override a field, e.g. data.root=FOLDER or inference.tta.shift=3.")
@click.option(
    "--checkpoint", type=CheckpointName(), help="best, last or a step.  [default: best; of folds, last]"
)
@click.option(
    "--split", type=click.Choice(["test", "validation", "out_of_fold"]), default="test", show_default=True,
    help="What to predict; out_of_fold for folds and ridge regression.",
)  # fmt: skip
@click.option(
    "--objective", metavar="NAME", help="Predict this one of several objectives.  [default: the first]"
)
@click.option("--subject", metavar="NAME", help="Of runs of several subjects, this one alone.")
@click.option(
    "--images", type=Here(), metavar="FOLDER",
    help="Predict these images, a folder of them or one, in place of a split.",
)  # fmt: skip
@click.option(
    "--questions", type=Here(), metavar="FILE.csv",
    help="Questions about --images: the columns image, a file's name, and question.",
)  # fmt: skip
@click.option("--skip-broken", is_flag=True, help="Leave out images of --images that cannot be decoded.")
@click.option(
    "--as", "form", type=click.Choice(["probabilities", "labels", "logits"]),
    help="How classes of --images are written.  [default: probabilities]",
)  # fmt: skip
@trust_config
def predict(
    runs: tuple[Path, ...],
    out: Path | None,
    settings: tuple[str, ...],
    checkpoint: Any,
    split: str,
    objective: str | None,
    subject: str | None,
    images: Path | None,
    questions: Path | None,
    skip_broken: bool,
    form: Any,
) -> None:
    """Predict test images with RUNS, and write their mean to OUT.

    Each RUN keeps its own predictions in predictions/SPLIT.npz, which is all without --out: ensembles read them there,
    and are learned from those of labelled samples. A CSV is checked against the data's sample_submission.csv before it
    is written.
    Of runs that pool several subjects (`Pooled` data) OUT is a folder, and gets a file for each, named as the subject;
    each is checked against that subject's own sample.
    `--set inference.tta.shift=3` averages over shifted images, `inference.tta.mirror=true` over mirror images.

    With --images FOLDER, OUT has a row for each image in FOLDER and the folders in it, its name first, as 1.png or
    cat/1.png; nothing is kept or overwritten. Of a run that answers questions --questions has them, and OUT a row for
    each.
    """
    if images is None and form is not None:
        raise UserError("--as: is for --images; a submission's sample says how its classes are written")
    if images is None and skip_broken:
        raise UserError(
            "--skip-broken: is for --images; a submission has a row for each image that it is asked for"
        )
    if images is None and questions is not None:
        raise UserError("--questions: is for --images FOLDER, the images that they are about")
    if images is not None and (out is None or split != "test"):
        raise UserError("--images: expected --out FILE.csv too, and no --split: the images take its place")
    with without_collecting():
        from jaxlab.runs.predict import predict_images, predict_runs
    prepare()
    if images is not None and out is not None:
        predict_images(
            runs,
            images,
            out,
            settings,
            checkpoint,
            form,
            say,
            objective,
            skip_broken,
            subject,
            questions,
        )
        return
    predict_runs(runs, out, settings, checkpoint, split, say, objective, subject)
