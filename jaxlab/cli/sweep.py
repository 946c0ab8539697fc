"""`jaxlab sweep`: an experiment trained again and again, to find its best settings."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from jaxlab.cli.arguments import ANY_FIELD, auto_resume, example, run_directory, set_fields, stop_after
from jaxlab.cli.configs import ConfigPath
from jaxlab.cli.training import resumed, train_config, trainable
from jaxlab.cli.workers import refuse_store, workers_train
from jaxlab.core.garbage import without_collecting
from jaxlab.core.types import UserError


@click.command(
    epilog=example(
        "sweep shallow_cnn --over 'optimizer.lr=log(1e-4,1e-1)' --trials 30",
        "sweep resnet_finetune --over model.depth=18,34 --sampler grid",
        then="jaxlab predict RUN --out submission.csv",
    )
)
@click.argument("config", type=ConfigPath())
@click.option(
    "--over",
    multiple=True,
    metavar="FIELD=SPACE",
    help="What a field may be: log(1e-5,1e-2), uniform(0,0.8), int(1,8), or values: 18,34. With how many of them for a "
    "grid: log(1e-5,1e-2,5).",
)
@click.option(
    "--trials",
    type=click.IntRange(1),
    metavar="N",
    help="In all, over workers and restarts.  [default: all of a grid, else 40]",
)
@click.option(
    "--sampler",
    metavar="NAME",
    help="grid, random, tpe, nevergrad or nevergrad:OPTIMIZER.  [default: tpe]",
)
@click.option(
    "--pruner",
    type=click.Choice(["auto", "median", "hyperband", "none"]),
    help="What stops unpromising trials at an epoch's end.  [default: auto, which is median, and none for a grid]",
)
@click.option("--metric", metavar="NAME", help="The validation score to search for.  [default: the config's]")
@click.option("--sampler-seed", "seed", type=click.IntRange(0), help="Of the sampler.  [default: 0]")
@click.option(
    "--keep",
    type=click.Choice(["all", "predicting"]),
    help="Of complete trials' checkpoints: all, or what predicting needs, a third or less.  [default: all]",
)
@click.option(
    "--storage",
    metavar="URL",
    help="A database that lists the trials, for workers that share no disk.  [default: a journal in the run directory]",
)
@run_directory("Directory of the study (default runs/CONFIG-HASH).")
@set_fields(ANY_FIELD)
@click.option(
    "--folds", type=click.IntRange(2), metavar="N", help="Each trial in N folds: its score is out of fold."
)
@click.option(
    "--seeds", type=click.IntRange(1), metavar="N", help="Each trial with N seeds: its score is their mean."
)
@click.option("--smoke", is_flag=True, help="Two tiny trials in a directory of their own, without downloads.")
@click.option(
    "--on",
    type=click.Choice(["ray"]),
    help="Have Ray start workers on its cluster's machines, $RAY_ADDRESS, or on this one.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    help="With --on.  [default: one for each GPU of the cluster, else for each machine]",
)
@click.option(
    "--worker", "told_by_others", is_flag=True, hidden=True, help="Of what --on has started: it says the end."
)
@auto_resume
@stop_after
def sweep(
    config: Path,
    over: tuple[str, ...],
    run: Path | None,
    settings: tuple[str, ...],
    folds: int | None,
    seeds: int | None,
    smoke: bool,
    on: str | None,
    workers: int | None,
    told_by_others: bool,
    again: bool,
    budget: Any,
    **fields: Any,
) -> None:
    """Search for CONFIG's best settings, by validation.

    Each trial is a run in a directory of its own inside the study's. The same command in another terminal, or on
    another machine that shares the disk, is a second worker; a trial whose process died goes on from its checkpoint.
    With more --trials a study that is done goes on.

    CONFIG may have experiment = Search(...) itself; options then come in place of its fields.
    """
    if workers is not None and on is None:
        raise UserError("--workers: expected --on ray with it, which starts them, found none")
    if on is not None and (smoke or again):
        raise UserError(f"--on {on}: expected no {'--smoke' if smoke else '--auto-resume'} with it")
    if on is not None:
        refuse_store(f"--on {on}", run)
    if again:
        sys.exit(resumed(run, budget))
    with without_collecting():
        experiment = trainable(config, settings)
        from jaxlab.experiment.search import searching, within_search
        from jaxlab.runs.search.report import left_to_others
    experiment, name = (
        within_search(searching(experiment, over, **fields), folds, seeds),
        f"{config.stem}-sweep",
    )
    if on is not None:
        workers_train(experiment, run, name, workers, budget)
        return
    with left_to_others() if told_by_others else nullcontext():
        train_config(
            config, experiment, run, name=name, smoke=smoke, allow_config_change=False, budget=budget,
            told=not told_by_others,
        )  # fmt: skip
