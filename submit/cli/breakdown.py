"""Scores by class, by region and of distributions as tables of 80 columns."""

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from submit.cli.tables import CLASSES, class_table, score_table
from submit.metrics.table import SCORES
from submit.scores.by_class import ByClass
from submit.scores.by_target import ByTarget

_MISTAKEN = 10
_LABELS = {
    "calibration_error": "calibration error",
    "calibration_error_calibrated": "calibration error with a temperature of other samples",
    "log_loss": "log loss",
    "log_loss_calibrated": "log loss with a temperature of other samples",
    "temperature": "temperature, of all samples",
}
_SHORT = {
    "pearson": "r",
    "pearson_median": "median",
    "noise_normalised": "r / ceiling",
    "spread_ratio_median": "spread",
    "noise_normalised_spread_median": "/ ceiling",
    "ks_distance_median": "KS",
}


def class_rows(found: ByClass) -> dict[str, float]:
    """Scores with their words, but those that a table of `score` has already."""
    names = [name for name in found.scores if not name.endswith("accuracy")]
    return {SCORES[name].label if name in SCORES else _LABELS[name]: found.scores[name] for name in names}


def target_rows(found: ByTarget) -> dict[str, float]:
    """The spread's and the distribution's scores, with their words."""
    overall = found.summary()
    labels = {
        "spread_ratio_median": "spread ratio, median (sd of predictions / sd of the truth)",
        "noise_normalised_spread_median": "the same / sqrt(ceiling): beside the signal's",
        "ks_distance_median": "Kolmogorov-Smirnov distance, median",
    }
    return {label: overall[name] for name, label in labels.items() if name in overall}


def show(console: Console, found: ByClass | ByTarget) -> None:
    """By class, with calibration; or by region."""
    if isinstance(found, ByTarget):
        show_regions(console, found)
        return
    if found.calibration is not None:
        table = score_table("calibration", "")
        for name, value in found.calibration.scores().items():
            table.add_row(_LABELS[name], f"{value:.4f}")
        console.print(table, "", sep="\n")
    for name, types in found.by_type.items():
        table = score_table(name.replace("_", " "), "questions", SCORES["vqa_accuracy"].label)
        for kind, (questions, accuracy) in types.items():
            table.add_row(kind, f"{questions:,}", f"{accuracy:.4f}")
        console.print(table, "", sep="\n")
    show_classes(console, found)


def show_classes(console: Console, found: ByClass) -> None:
    """Class by class; then what is taken for what."""
    if len(found.classes) <= CLASSES:
        console.print(class_table(found.classes))
    else:
        console.print(f"--json and --out have the scores of each of the {len(found.classes):,} classes")
    matrix = _matrix(found)
    if matrix is not None and Measurement.get(console, console.options, matrix).minimum <= console.width:
        console.print("", matrix, sep="\n")
    elif found.mistaken:
        console.print("", _mistaken(found), sep="\n")
    if found.uncalibrated:
        console.print(f"no calibration: {found.uncalibrated}")
    if found.without:
        console.print(
            f"{found.without:,} samples are of none of the classes, or not finite, and count as wrong"
        )


def show_regions(console: Console, found: ByTarget) -> None:
    """A line a region, of a prediction that has some."""
    rows = found.rows()
    names = [name for name in _SHORT if any(name in row for row in rows.values())]
    table = score_table("region", "targets", *(_SHORT[name] for name in names))
    for region, row in rows.items():
        cells = (f"{row[name]:.4f}" if row.get(name, float("nan")) == row.get(name) else "" for name in names)
        table.add_row(region, f"{row['targets']:,}", *cells)
    console.print(table)
    console.print("r: mean; median: of r; spread, KS: medians over targets; / ceiling: divided by its root")


def _matrix(found: ByClass) -> Table | None:
    """A row a true class; the columns have its numbers."""
    if found.confusion is None or not 1 < len(found.classes) <= CLASSES:
        return None
    numbers = range(1, len(found.classes) + 1)
    table = score_table("true, below; predicted, right", *map(str, numbers))
    for number, one, row in zip(numbers, found.classes, found.confusion, strict=True):
        table.add_row(f"{number} {one.name}", *(f"{count:,}" for count in row))
    return table


def _mistaken(found: ByClass) -> Table:
    table = score_table("true", "taken for", "samples")
    for true, predicted, samples in found.mistaken[:_MISTAKEN]:
        table.add_row(true, predicted, f"{samples:,}")
    table.caption = f"the {_MISTAKEN} most often" if len(found.mistaken) > _MISTAKEN else None
    return table
