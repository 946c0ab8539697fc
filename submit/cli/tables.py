"""Scores with their intervals as tables of 80 columns."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from submit.cli.terminal import plain_console
from submit.scores.by_class import PerClass
from submit.scores.compare import Compared
from submit.scores.interval import Interval
from submit.scores.probe import Probe
from submit.scores.rosetta import LOW_CEILING, Rosetta
from submit.scores.rosetta_classes import ClassRosetta

CLASSES = 30  # of more the table would be long; JSON has them all
_ORDERS = 3


def show(found: Rosetta | ClassRosetta) -> None:
    """Prints what `rosetta` found."""
    console = plain_console()
    if isinstance(found, ClassRosetta):
        _show_classes(console, found)
        return
    for number, (region, rows) in enumerate(groupby(found.rows, lambda row: row.region)):
        if number:
            console.print()
        table = score_table(region, "n", "mean", "95 %", "median", "95 %")
        for row in rows:
            table.add_row(row.definition, f"{row.targets:,}", *_cells(row.mean), *_cells(row.median))
        console.print(table)
    console.print()
    for need in dict.fromkeys(found.left_out.values()):
        names = [name for name, needs in found.left_out.items() if needs == need]
        console.print(f"left out, for want of {need}: {'; '.join(names)}")
    console.print(
        f"{found.samples:,} samples; n: the number of targets. Algonauts 2023, also uncorrected, is in percent, and "
        "its challenge takes the median."
    )
    if found.low_ceilings:
        console.print(
            f"{found.low_ceilings:,} targets have a ceiling or a reliability below {LOW_CEILING:g}: what is divided by "
            "it, or by its root, is not to be trusted there"
        )
    if found.constant or found.not_finite:
        made = ", ".join(f"{value:.4f} ({name})" for name, value in found.policies.items())
        console.print(
            f"{found.constant:,} targets are constant and {found.not_finite:,} not finite, and count 0; "
            f"mean Pearson r by policy: {made}"
        )


def show_compared(found: Sequence[Compared]) -> None:
    """Prints what `compare` found."""
    console = plain_console()
    called = _distinct(dict.fromkeys(one.name for one in found))
    for number, measure in enumerate(dict.fromkeys(one.measure for one in found)):
        if number:
            console.print()
        table = score_table(measure, "score", "95 %", "to the first", "95 %")
        for one in (one for one in found if one.measure == measure):
            difference = _cells(one.difference, "+.4f") if one.difference else ("", "")
            table.add_row(called[one.name], *_cells(one.score, ".4f"), *difference)
        console.print(table)


def _distinct(paths: Iterable[str]) -> dict[str, str]:
    """Path -> its file's name, or the run of RUN/predictions/SPLIT.npz; the path itself where others have that name."""
    short = {path: _short(Path(path)) for path in paths}
    count = Counter(short.values())
    return {path: name if count[name] == 1 else path for path, name in short.items()}


def _short(path: Path) -> str:
    of_run = path.parent.name == "predictions" and path.parent.parent.name
    return str(path.parent.parent) if of_run else path.name


def show_probe(found: Probe) -> None:
    """Prints what `probe` found, its notes too, without its findings."""
    summary = found.to_dict()["shuffled"]
    table = score_table(f"{found.measure} of {found.samples:,} samples", "score")
    table.add_row("by id", f"{found.score:.4f}")
    spread = f"ids shuffled {len(found.shuffled):,} times: mean"
    table.add_row(f"{spread} (95 %: {summary['low']:.4f} to {summary['high']:.4f})", f"{summary['mean']:.4f}")
    table.add_row("the highest of them", f"{summary['highest']:.4f}")
    for name, score in [*list(found.rows.items())[:_ORDERS], *list(found.columns.items())[:_ORDERS]]:
        table.add_row(name, f"{score:.4f}")
    console = plain_console()
    console.print(table)
    if not found.findings:
        console.print("\nnothing seems misaligned; an exchange of columns that are much alike can go unseen")
    for note in found.notes:
        console.print(f"note: {note}")


def _show_classes(console: Console, found: ClassRosetta) -> None:
    table = score_table(f"{found.samples:,} samples", "score", "95 %")
    for name, interval in found.scores.items():
        table.add_row(name, *_cells(interval, ".4f"))
    console.print(table)
    if len(found.classes) <= CLASSES:
        console.print()
        console.print(class_table(found.classes))
    else:
        console.print(f"--json has the scores of each of the {len(found.classes):,} classes")
    if found.not_finite:
        console.print(f"{found.not_finite:,} samples have scores that are not finite, and count as wrong")


def class_table(classes: Sequence[PerClass]) -> Table:
    """Support and rates."""
    table = score_table("class", "samples", "precision", "recall", "F1")
    for one in classes:
        rates = (f"{value:.4f}" for value in (one.precision, one.recall, one.f1))
        table.add_row(one.name, f"{one.samples:,}", *rates)
    return table


def score_table(first: str, *others: str) -> Table:
    """A column of names, then columns of numbers."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1))
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _cells(interval: Interval, form: str = ".3f") -> tuple[str, str]:
    """The value, and from where to where it goes."""
    if interval.value != interval.value:  # NaN
        return "", ""
    known = interval.low == interval.low
    return f"{interval.value:{form}}", f"{interval.low:{form}} {interval.high:{form}}" if known else ""
