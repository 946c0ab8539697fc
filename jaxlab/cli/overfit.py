"""`jaxlab overfit`: whether a network learns a few batches by heart."""

import sys
from pathlib import Path

import click

from jaxlab.cli.arguments import ANY_FIELD, example, prepare, run_directory, say, set_fields
from jaxlab.cli.configs import ConfigPath
from jaxlab.cli.training import told_of_trial, trainable
from jaxlab.core.garbage import without_collecting


@click.command(
    epilog=example(
        "overfit shallow_cnn --set data.root=FOLDER",
        "overfit gesture_lenet5 --epochs 100",
        then="jaxlab train shallow_cnn --set data.root=FOLDER",
    )
)
@click.argument("config", type=ConfigPath())
@click.option(
    "--batches",
    type=click.IntRange(1),
    default=2,
    show_default=True,
    help="Batches of training images.",
)
@click.option(
    "--epochs", type=click.IntRange(1), default=50, show_default=True, help="Times that they are shown."
)
@click.option(
    "--below", type=click.FloatRange(0, min_open=True), default=0.1, show_default=True,
    help="Pass where the loss falls below: cross-entropy, or squared error in variances of each target.",
)  # fmt: skip
@run_directory("Run directory, made anew each time (default runs/CONFIG-overfit).")
@set_fields(ANY_FIELD)
def overfit(
    config: Path, batches: int, epochs: int, below: float, run: Path | None, settings: tuple[str, ...]
) -> None:
    """See whether CONFIG's network can learn a few batches by heart.

    Without augmentation, mixing, dropout, decay, smoothed labels, averages and SAM, and at a constant rate. Prints pass
    or fail, how predictions and targets are distributed, and on failure what to try, in order. The exit code is 0 where
    it passes and 1 where it fails.
    """
    with without_collecting():
        experiment = trainable(config, settings)
        from jaxlab.core.beside import config_text
        from jaxlab.experiment.overfit import overfitting
        from jaxlab.experiment.trial import trial
    overfitting(experiment, batches, epochs)
    prepare()
    if told_of_trial(experiment) is not None:
        experiment = trial(experiment, lambda line: say(f"trial: {line}"))
    with without_collecting():
        from jaxlab.runs.overfit import overfit as learned_by_heart
    found = learned_by_heart(
        experiment,
        run,
        name=config.stem,
        batches=batches,
        epochs=epochs,
        below=below,
        source=config_text(config),
    )
    say(str(found.path))
    sys.exit(0 if found.passed else 1)
