"""The command that combines predictions: ensemble."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from submit import ensemble as combine
from submit.cli.terminal import plain_console
from submit.ensemble.classes import widening
from submit.ensemble.members import (
    MemberFiles,
    find_members,
    load_fresh,
    load_labelled,
    load_test,
    unlike_inference,
    unlike_scales,
    variation,
)
from submit.errors import SubmissionError, refuse
from submit.files.atomic import refuse_input
from submit.formats import kaggle
from submit.metrics.table import score_of
from submit.predictions import Predictions
from submit.regions import load_regions
from submit.truth import load_truth

_FILE = click.Path(path_type=Path)
_PLAIN = ("mean", "rank", "trimmed")
_LEARNED = ("greedy", "select", "stack", "best")
_ONLY = {  # options by the methods that they go with
    "weights": ("mean",),
    "share": ("trimmed",),
    "truth": _LEARNED,
    "learn": _LEARNED,
    "statistic": _LEARNED,
    "keep": ("select",),
    "by": ("stack",),
    "rois": ("stack", "best"),
    "classes": ("mean", "trimmed", *_LEARNED),
}


@click.command()
@click.argument("members", nargs=-1, required=True, type=_FILE)
@click.option("--out", type=_FILE, required=True, help="The file to write: .npz, or .csv.")
@click.option(
    "--method",
    type=click.Choice([*_PLAIN, *_LEARNED]),
    default="mean",
    show_default=True,
    help="rank: mean of ranks, for scores of order; best: the one that cross-validation prefers.",
)
@click.option("--weights", help="For mean: one number a member, as in 0.3,0.7; equal when not given.")
@click.option(
    "--share", type=float, help="For trimmed: of the members, cut at either end; 0.2 when not given, or one."
)
@click.option(
    "--truth",
    type=_FILE,
    help="For greedy, select, stack, best: the truth of labelled samples, as train.csv.",
)
@click.option(
    "--learn", type=_FILE, multiple=True, help="Labelled predictions, once for each member that is a file."
)
@click.option("--statistic", type=click.Choice(["mean", "median"]), help="Over targets, of Pearson r; mean.")
@click.option(
    "--keep", type=click.IntRange(min=1),
    help="For select: how many members a target takes, its best; as cross-validation prefers when not given.",
)  # fmt: skip
@click.option(
    "--by", type=click.Choice(["all", "roi", "target"]), help="For stack: who shares weights; target."
)
@click.option("--rois", type=_FILE, help="Regions of targets: a .npz of masks, or a .csv of target,roi.")
@click.option(
    "--classes", type=click.Choice(["union"]),
    help="Of members that know other classes, as answers to questions: those of all. [default: refuse]",
)  # fmt: skip
@click.option(
    "--against", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A sample submission, which gives a CSV its rows, columns and names.",
)  # fmt: skip
def ensemble(members: tuple[Path, ...], out: Path, against: Path | None, method: str, **options: Any) -> None:
    """Combine MEMBERS, matched by id and target name, into one file.

    A member is a file of predictions (npz or CSV), a run directory or, of a run of several subjects, the folder of one,
    RUN/predictions/SUBJECT. greedy, select, stack and best learn weights from predictions of labelled samples: those of
    --learn, or predictions/out_of_fold.npz or validation.npz of a run.

    \b
    Example:
      python -m submit ensemble runs/a runs/b --method best --truth train.csv \\
          --out both.csv --against sample_submission.csv

    Then: `check both.csv --against sample_submission.csv`, and `explain both.csv`.
    """
    if out.suffix.lower() not in (".npz", ".csv"):
        raise SubmissionError(f"--out {out}: expected a .npz or .csv file.")
    chosen = {name: value for name, value in options.items() if value not in (None, ())}
    _refuse_unused(method, chosen)
    found = find_members(members, chosen.get("learn", ()))
    read = [path for member in found for path in (member.test, member.labelled)]
    refuse_input(out, [*read, chosen.get("truth"), chosen.get("rois"), against])
    result = _learned(method, found, chosen) if method in _LEARNED else _plain(method, found, chosen)
    _write(result, out, against)
    several = "s" if len(members) > 1 else ""
    click.echo(
        f"{out}: {len(members)} prediction{several} combined, {len(result):,} samples, {len(result.targets):,} targets"
    )


def _refuse_unused(method: str, chosen: dict[str, Any]) -> None:
    faults = [
        f"--{name} goes with --method {' or '.join(_ONLY[name])}, not with {method}."
        for name in chosen
        if method not in _ONLY[name]
    ]
    if method in _LEARNED and "truth" not in chosen:
        faults.append(f"--method {method} needs --truth, a table of the labelled samples' ids and targets.")
    if method == "stack" and (chosen.get("by") == "roi") != ("rois" in chosen):
        faults.append("--by roi and --rois FILE go together.")
    if faults:
        raise SubmissionError("\n".join(faults))


def _plain(method: str, members: list[MemberFiles], chosen: dict[str, Any]) -> Predictions:
    weights = _weights(chosen["weights"], len(members)) if "weights" in chosen else None
    names, varies = [str(member.test) for member in members], []
    widened = _widening(members, chosen)

    def loaded() -> Iterator[Predictions]:
        for member in members:
            yield (test := widened(load_test(member.test)))
            varies.append(variation(test))

    if method == "rank":
        return combine.rank_average(loaded(), names)
    if method == "trimmed":
        share = {name: chosen[name] for name in ("share",) if name in chosen}
        result = combine.trimmed_mean(loaded(), names=names, **share)
    elif weights is None:
        result = combine.mean(loaded(), names)
    else:
        result = combine.weighted(loaded(), weights, names)
    _warn(unlike_scales(names, varies))
    return result


def _widening(members: list[MemberFiles], chosen: dict[str, Any]) -> Callable[[Predictions], Predictions]:
    """What --classes does to each member's predictions; says it."""
    if "classes" not in chosen:
        return lambda member: member
    widened, said = widening([member.test for member in members])
    click.echo(said, err=True)
    return widened


def _warn(lines: list[str]) -> None:
    for line in lines:
        click.echo(f"Warning: {line}", err=True)


def _learned(method: str, members: list[MemberFiles], chosen: dict[str, Any]) -> Predictions:
    widened, known = _widening(members, chosen), load_labelled(members)
    labelled = [widened(one) for one in known]
    truth = load_truth(chosen["truth"], labelled[0])
    ways: dict[str, Callable[..., combine.Combination]] = {
        "greedy": combine.greedy, "select": combine.select, "stack": combine.stack, "best": combine.best,
    }  # fmt: skip
    how: dict[str, Any] = {name: chosen[name] for name in ("statistic", "by", "keep") if name in chosen}
    if "rois" in chosen:
        if not isinstance(truth, Predictions):
            raise SubmissionError("--rois: regions are of targets; the truth holds class names.")
        how["regions"] = load_regions(chosen["rois"], truth.targets)
    names = [member.name for member in members]
    learn = partial(ways[method], labelled, truth, names=names)
    with Console(stderr=True).status("learning weights"):
        combination = learn(**how)
    _warn(unlike_scales(names, [variation(known) for known in labelled]))
    fresh = map(widened, _fresh(members, known))
    result = combination.apply(fresh, [str(member.test) for member in members])
    _report(combination)
    return result


def _fresh(members: list[MemberFiles], labelled: list[Predictions]) -> Iterator[Predictions]:
    """Every member's test predictions, with a warning of those that were made otherwise than the labelled ones."""
    for member, known, test in zip(members, labelled, load_fresh(members, labelled), strict=True):
        _warn(unlike_inference(member, known, test))
        yield test


def _report(found: combine.Combination) -> None:
    """The members with their scores and weights, then each way's score."""
    score = score_of(found.metric).short or score_of(found.metric).label
    many = len(found.weights) > 1
    table = Table("member", score, "weight", *(("lowest", "highest") if many else ()), box=None)
    low, high = found.weights.min(0), found.weights.max(0)
    for row in zip(found.members, found.singles, found.by_target().mean(0), low, high, strict=True):
        table.add_row(row[0], *(f"{value:.4f}" for value in (row[1:] if many else row[1:3])))
    ways = Table("method", score, "", box=None)
    for name, value in found.scores.items():
        ways.add_row(name, f"{value:.4f}", "taken" if name == found.method else "")
    if found.chosen is not None:
        ways.add_row("the best of them", f"{found.chosen:.4f}", "chosen without the part that is scored")
    console = plain_console()
    console.print(f"{found.samples:,} labelled samples that all members predict", table, sep="\n")
    console.print("\nweights learned on four fifths of them, scored on the other", ways, sep="\n")
    if found.penalty is not None:
        console.print(f"penalty {found.penalty:.3g}")
    if found.kept is not None:
        console.print(f"each target takes the mean of its best {found.kept} of {len(found.members)} members")
    if found.constant:
        console.print(
            f"{found.constant:,} of {len(found.targets):,} targets count 0: constant or not finite in the truth"
        )


def _write(result: Predictions, out: Path, against: Path | None) -> None:
    if out.suffix.lower() == ".csv":
        kaggle.write(result, out, against)
        _warn([] if against else [f"{out}: {kaggle.UNCHECKED}"])
        return
    refuse(out, [] if against is None else kaggle.check(result, against))
    result.save(out)


def _weights(text: str, members: int) -> list[float]:
    try:
        weights = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise SubmissionError(f"--weights: expected numbers as in 0.3,0.7; found {text!r}.") from error
    if len(weights) != members:
        raise SubmissionError(f"--weights: {len(weights)} weights for {members} predictions.")
    return weights
