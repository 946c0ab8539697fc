"""What each part of an ablation is worth, from the worth.csv that it keeps."""

import csv
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxlab.core.files import reason
from jaxlab.core.types import UserError
from jaxlab.report import frame
from jaxlab.report.drawing import AFTER, FAINT, Picture, canvas, label
from jaxlab.report.results.section import Part, Section
from jaxlab.runs.worth import COLUMNS, Difference
from submit.metrics.table import SCORES

FILE = "worth.csv"
_NEW = ("validation", "out_of_fold", "test")  # splits that are new to the networks


def read(path: Path) -> list[Difference]:
    """Lines of a worth.csv of scores of all classes. Raises UserError where it is none."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if not row["class"]]
        return [_difference(row) for row in rows]
    except OSError as error:
        raise UserError(f"{path} cannot be read ({reason(error)})") from error
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise UserError(
            f"{path}: expected a table of what parts are worth, as jaxlab writes it ({error})"
        ) from None


def _difference(row: Mapping[str, str]) -> Difference:
    values: list[Any] = [row[name] for name in COLUMNS]
    values[5:] = map(_number, values[5:])
    return Difference(*values)._replace(n=int(row["n"]))


def _number(text: str) -> float:
    return float(text) if text else math.nan


def section(folder: Path) -> Iterator[Section]:
    """Of a study's directory; none where it is no ablation."""
    if (folder / FILE).is_file():
        yield Section("What each part is worth", tuple(_parts(read(folder / FILE))))


def _parts(found: list[Difference]) -> Iterator[Part]:
    """A picture of the headline score, and the table of every score of samples that are new to the networks."""
    headlines = [one for one in found if one.score in SCORES and SCORES[one.score].headline]
    places = [(one.checkpoint, one.split) for one in headlines]
    known = [place for which in ("best", "last") for split in _NEW if (place := (which, split)) in places]
    for place in known[:1]:
        shown = [one for one in headlines if (one.checkpoint, one.split) == place]
        yield _picture(sorted(shown, key=lambda one: -one.mean if math.isfinite(one.mean) else math.inf))
    rows = [
        (one.part, one.checkpoint, one.split.replace("_", " "), one.score.replace("_", " "),
         f"{one.whole:.4f}", f"{one.without:.4f}", f"{one.mean:+.4f}",
         f"{one.low:+.4f} to {one.high:+.4f}" if math.isfinite(one.low) else "", f"{one.n}")
        for one in found if one.split in _NEW and one.score in SCORES and SCORES[one.score].better
    ]  # fmt: skip
    header = (
        "without",
        "checkpoint",
        "split",
        "score",
        "whole",
        "without",
        "worth",
        "95 % interval",
        "seeds",
    )
    yield f"<details><summary>All scores</summary>{frame.table(header, rows)}</details>"


def _picture(shown: list[Difference]) -> Picture:
    score = SCORES[shown[0].score]
    with canvas(f"whole minus without: {score.label}", size=(4.6, 0.9 + 0.25 * max(len(shown), 3))) as (
        figure,
        axes,
    ):
        axes.axvline(0, color="0.6", lw=0.8)
        for row, one in enumerate(shown):
            if math.isfinite(one.low):
                axes.plot((one.low, one.high), (row, row), color=AFTER, lw=1.5)
        axes.plot([one.mean for one in shown], range(len(shown)), "o", color=AFTER).pop().set_gid("worth")
        axes.set_yticks(range(len(shown)), [label(one.part) for one in shown])
        axes.grid(axis="y", color=FAINT)
        axes.invert_yaxis()
    titles = [
        f"{one.part}: {one.mean:+.4f} ({one.whole:.4f} whole, {one.without:.4f} without)" for one in shown
    ]
    where = f"{shown[0].split.replace('_', ' ')}, {shown[0].checkpoint} checkpoint"
    words = f"What each part adds to {score.label}, {where}; paired over seeds, lines: 95 % intervals"
    return Picture("worth", words, figure, {"worth": titles})
