"""The command line: click commands that parse, call and print. No logic."""

import atexit
import gc
import sys
from pathlib import Path
from typing import Any

import click

from jaxlab import __version__
from jaxlab.cli.ablate import ablate
from jaxlab.cli.arguments import (
    ANY_FIELD,
    Here,
    auto_resume,
    example,
    prepare,
    run_directory,
    set_fields,
    stop_after,
)
from jaxlab.cli.bundle import bundle
from jaxlab.cli.configs import ConfigPath, configs
from jaxlab.cli.data import data
from jaxlab.cli.endings import flush, heard, message_of
from jaxlab.cli.evaluate import evaluate
from jaxlab.cli.gestures import gestures
from jaxlab.cli.inspect import inspect
from jaxlab.cli.overfit import overfit
from jaxlab.cli.predict import predict
from jaxlab.cli.report import compare, report
from jaxlab.cli.runs import runs
from jaxlab.cli.serve import serve
from jaxlab.cli.several import coordinator_options, together
from jaxlab.cli.soup import soup
from jaxlab.cli.sweep import sweep
from jaxlab.cli.training import resumed, show_estimate, train_config, trainable
from jaxlab.core.garbage import without_collecting
from jaxlab.core.types import AGAIN, INTERRUPTED, Interrupted, UserError

atexit.register(gc.disable)  # or Python looks through all that was imported once more, only to leave it


class _Commands(click.Group):
    """A user's mistake, or a disk that refuses, ends in one message and exit code 1; a run that a signal stopped, and
    that the same command goes on with, in exit code 75. What SIGINT ended at once ends in 130, as of any program.

    Anything else is ours and keeps its traceback.
    """

    def main(self, *args: Any, **more: Any) -> Any:
        try:
            return super().main(*args, **more)
        except OSError as error:  # as help is printed
            if (message := message_of(error)) is None:
                raise
            click.echo(f"error: {message}", err=True)
            sys.exit(1)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with heard():
                result = super().invoke(ctx)
                flush()
                return result
        except Interrupted:  # what there is to say was said as it stopped
            sys.exit(AGAIN)
        except KeyboardInterrupt:  # before there was anything to save, or a second one
            click.echo("interrupted", err=True)
            sys.exit(INTERRUPTED)
        except Exception as error:
            if (message := message_of(error)) is None:
                raise
            click.echo(f"error: {message}", err=True)
            sys.exit(1)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=example(
        "train quickstart --run runs/first",
        "predict runs/first --out submission.csv",
        then="jaxlab configs list",
    ),
)
@click.version_option(__version__)
def main() -> None:
    """Turn a challenge's images into a submission: train, evaluate, predict, inspect."""


main.add_command(ablate)
main.add_command(bundle)
main.add_command(configs)
main.add_command(data)
main.add_command(evaluate)
main.add_command(overfit)
main.add_command(predict)
main.add_command(report)
main.add_command(compare)
main.add_command(gestures)
main.add_command(inspect)
main.add_command(serve)
main.add_command(soup)
main.add_command(runs)
main.add_command(sweep)


@main.command(
    epilog=example(
        "train resnet_finetune",
        "train resnet_finetune --set data.root=FOLDER",
        then="jaxlab predict RUN --out submission.csv",
    )
)
@click.argument("config", type=ConfigPath())
@run_directory("Run directory (default runs/CONFIG-HASH).")
@set_fields(ANY_FIELD)
@click.option(
    "--smoke", is_flag=True, help="Two tiny steps in a run directory of their own, without downloads."
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Show what training would take: steps, parameters, memory, work; train nothing.",
)
@click.option("--allow-config-change", is_flag=True, help="Go on with a run whose config has changed.")
@click.option(
    "--folds", type=click.IntRange(2), metavar="N",
    help="Train once for each of N folds, and keep what each predicts for its own.",
)  # fmt: skip
@click.option(
    "--seeds", type=click.IntRange(1), metavar="N",
    help="Train once with each of N seeds, and show mean and 95 % interval of every score.",
)  # fmt: skip
@click.option(
    "--vary",
    multiple=True,
    metavar="FIELD",
    help="With --seeds: a field that takes each seed, too, as split.seed.",
)
@auto_resume
@click.option(
    "--profile", type=click.IntRange(1), is_flag=False, flag_value=10, metavar="[STEPS]",
    help="Trace so many steps (10), once warm, and show where their time goes.",
)  # fmt: skip
@stop_after
@coordinator_options
def train(
    config: Path,
    run: Path | None,
    settings: tuple[str, ...],
    smoke: bool,
    dry_run: bool,
    allow_config_change: bool,
    folds: int | None,
    seeds: int | None,
    vary: tuple[str, ...],
    again: bool,
    profile: int | None,
    budget: Any,
    coordinator: str | None,
    processes: int | None,
    process: int | None,
) -> None:
    """Train the experiment in CONFIG, or go on where its run stopped.

    Where CONFIG names no data, it is a trial: on simulated neurons, made small, in a run directory of its own.
    """
    if again:
        sys.exit(resumed(run, budget))
    with without_collecting():
        experiment = trainable(config, settings)
        from jaxlab.experiment.folds import in_folds
        from jaxlab.experiment.seeds import over_seeds
    if folds is not None:
        experiment = in_folds(experiment, folds)
    experiment = over_seeds(experiment, seeds, vary)
    if dry_run:
        show_estimate(experiment, smoke)
        return
    with together(coordinator, processes, process):
        train_config(
            config,
            experiment,
            run,
            name=config.stem,
            smoke=smoke,
            allow_config_change=allow_config_change,
            budget=budget,
            profile=profile or 0,
        )


@main.command(
    epilog=example(
        "features cached_readout --set data.data.root=FOLDER",
        then="jaxlab train cached_readout --set data.data.root=FOLDER",
    )
)
@click.argument("config", type=ConfigPath())
@click.option(
    "--layers", metavar="NAMES", help="block4,block11 or all; default: those that the config's head reads."
)
@click.option("--pool", type=click.Choice(["none", "mean"]), help="mean: over positions.  [default: none]")
@click.option("--dtype", type=click.Choice(["float32", "bfloat16"]), help="[default: float32]")
@set_fields(ANY_FIELD)
def features(config: Path, settings: tuple[str, ...], **options: Any) -> None:
    """Run CONFIG's frozen network over its data and keep its features.

    Those of labelled and test images go to $JAXLAB_CACHE/features, under what they depend on: weights, preprocessing
    and images. What is there already is not computed again.
    """
    with without_collecting():
        found = trainable(config, settings)
        from jaxlab.encode.command import extract
        from jaxlab.experiment import Experiment
        from jaxlab.experiment.study import innermost
    experiment = innermost(found)
    if not isinstance(experiment, Experiment):
        raise UserError(
            f"config {config}: expected experiment = Experiment(...), found {type(experiment).__name__}"
        )
    prepare()
    parts = (experiment.data, experiment.model, experiment.images, experiment.normalize)
    extract(*parts, [one.head for one in experiment.goals.values()], **options)


@main.command(
    epilog=example(
        "simulate simulated --images 500", then="jaxlab train shallow_cnn --set data.root=simulated"
    )
)
@click.argument("folder", type=Here())
@click.option(
    "--kind", type=click.Choice(["neurons", "vqa"]), default="neurons", show_default=True,
    help="Neurons that see images, or questions about images.",
)  # fmt: skip
@click.option(
    "--images", default=2000, show_default=True, help="Labelled images; of vqa half as many validate."
)
@click.option("--test-images", default=500, show_default=True, help="Images to predict.")
@click.option("--neurons", default=40, show_default=True, help="Target columns.")
@click.option("--size", type=int, help="Height and width, in pixels.  [default: 64; of vqa 32]")
@click.option(
    "--repeats", default=10, show_default=True, help="Presentations that a response is the mean of."
)
@click.option("--questions", type=int, help="Of vqa, on the training images.  [default: 5.36 each]")
@click.option(
    "--full", is_flag=True, help="Of vqa, as many as VQA v2 has: 443,757 questions on 82,783 images."
)
@click.option("--seed", default=0, show_default=True, help="Of everything.")
@click.pass_context
def simulate(context: click.Context, folder: Path, kind: str, **fields: Any) -> None:
    """Write simulated images and neurons to FOLDER.

    It becomes a Kaggle folder, with its solution.csv and the noise ceiling in solution.ceiling.npy.

    With --kind vqa: questions about images, and what ten people answered, in the files of VQA v2. The right answer
    follows from what the image shows, and answers are as unequally frequent as those of VQA v2.
    """
    others = ("questions", "full") if kind == "neurons" else ("neurons", "repeats")
    given = click.core.ParameterSource.COMMANDLINE
    if odd := [name for name in others if context.get_parameter_source(name) is given]:
        raise UserError(f"--{odd[0]}: has no part in --kind {kind}")
    counts = [name for name in ("images", "questions") if context.get_parameter_source(name) is given]
    if fields["full"] and counts:
        raise UserError(f"--{counts[0]}: has no part in --full, which writes as many as VQA v2 has")
    for name in others:
        del fields[name]
    if fields["size"] is None:
        fields["size"] = {"neurons": 64, "vqa": 32}[kind]
    if kind == "vqa":
        from jaxlab.data.simulation.question_files import SimulatedQuestions

        SimulatedQuestions(**fields).write(folder, log=click.echo)
        return
    from jaxlab.data.sources.simulated import Simulated

    Simulated(**fields).write_kaggle(folder)
    click.echo(f"{folder}: {fields['images']} + {fields['test_images']} images, {fields['neurons']} neurons")


@main.command(epilog=example("doctor", then="jaxlab train quickstart"))
def doctor() -> None:
    """Show which devices JAX sees, and what is amiss."""
    from jaxlab.report import doctor as examination

    prepare()
    sys.exit(0 if examination.show() else 1)
