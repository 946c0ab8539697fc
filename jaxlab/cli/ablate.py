"""`jaxlab ablate`: what each part of an experiment is worth, over seeds."""

import sys
from pathlib import Path
from typing import Any

import click

from jaxlab.cli.arguments import ANY_FIELD, auto_resume, example, run_directory, set_fields, stop_after
from jaxlab.cli.configs import ConfigPath
from jaxlab.cli.training import resumed, train_config, trainable
from jaxlab.core.garbage import without_collecting


@click.command(
    epilog=example(
        "ablate shallow_cnn --set data.root=FOLDER --seeds 5",
        "ablate shallow_cnn --off 'augment=()' --off head.dropout=0.0",
        then="jaxlab inspect RUN",
    )
)
@click.argument("config", type=ConfigPath())
@click.option(
    "--off", multiple=True, metavar="FIELD=VALUE",
    help="Switch this part off, as augment=() or optimizer.schedule=Constant(); PART:FIELD=VALUE names it, and twice "
    "the same PART is one of two fields.  [default: each part that is on]",
)  # fmt: skip
@click.option("--seeds", type=click.IntRange(1), metavar="N", help="Seeds of each.  [default: 5]")
@run_directory("Directory of the study (default runs/CONFIG-ablation-HASH).")
@set_fields(ANY_FIELD)
@click.option("--smoke", is_flag=True, help="One part, one seed, two tiny steps, without downloads.")
@click.option("--allow-config-change", is_flag=True, help="Go on with a study whose config has changed.")
@auto_resume
@stop_after
def ablate(
    config: Path,
    off: tuple[str, ...],
    seeds: int | None,
    run: Path | None,
    settings: tuple[str, ...],
    smoke: bool,
    allow_config_change: bool,
    again: bool,
    budget: Any,
) -> None:
    """Train CONFIG without each of its parts: what each is worth.

    Each over the same seeds as the whole. Prints what each part is worth: the validation score of
    the whole minus that without it, with a 95 % interval.

    Killed and started again, it trains what is missing. worth.csv has all scores, plots/worth.png a picture.
    """
    if again:
        sys.exit(resumed(run, budget))
    with without_collecting():
        experiment = trainable(config, settings)
        from jaxlab.experiment.ablation import ablated
    study = ablated(experiment, off, seeds)
    train_config(
        config, study, run, name=f"{config.stem}-ablation", smoke=smoke,
        allow_config_change=allow_config_change, budget=budget,
    )  # fmt: skip
