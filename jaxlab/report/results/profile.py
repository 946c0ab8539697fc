"""Where a step's time went, where `jaxlab train --profile` has traced some."""

from collections.abc import Iterator, Mapping
from typing import Any

from jaxlab.core.files import read_json
from jaxlab.core.types import UserError
from jaxlab.report.drawing import AFTER, BEFORE, Picture, canvas
from jaxlab.report.results.reading import Reading
from jaxlab.report.results.section import Part, Section, paragraph
from jaxlab.training.profiling.recorder import SUMMARY
from jaxlab.training.profiling.table import Row, device_rows, host_rows
from jaxlab.training.profiling.timeline import Spent


def sections(reading: Reading) -> Iterator[Section]:
    """None of what was not profiled."""
    file = reading.rundir.profile / SUMMARY
    if not file.is_file():
        return
    summary = read_json(file)
    spent = _spent(summary, str(file))
    words = f"A step took {spent.wall * 1e3:,.2f} ms, the mean of {spent.steps:,}."
    parts: list[Part] = [paragraph(words), _bars("profile-host", "The host", host_rows(spent), BEFORE)]
    if spent.devices:
        title = "The device" if spent.devices == 1 else f"Each of {spent.devices} devices"
        parts.append(_bars("profile-device", title, device_rows(spent), AFTER))
    yield Section("Where a step's time goes", tuple(parts))


def _bars(name: str, title: str, rows: list[Row], colour: str) -> Picture:
    """rows: (what, its share)."""
    with canvas("share of a step's time, %") as (figure, axes):
        names, shares = [row[0] for row in rows][::-1], [100 * row[1] for row in rows][::-1]
        axes.barh(range(len(rows)), shares, color=colour)
        axes.set_yticks(range(len(rows)), names)
        for place, share in enumerate(shares):
            axes.text(share, place, f" {share:.1f}", va="center", fontsize=8)
    return Picture(name, title, figure)


def _spent(summary: Mapping[str, Any], file: str) -> Spent:
    """Raises UserError for a summary of another shape."""
    try:
        parts = {name: {str(k): float(v) for k, v in summary[name].items()} for name in ("host", "device")}
        spent = Spent(
            int(summary["steps"]), float(summary["wall"]), **parts,
            busy=float(summary["busy"]), devices=int(summary["devices"]),
        )  # fmt: skip
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{file}: expected what jaxlab train --profile writes, found {error!r:.80}") from None
    if not spent.wall > 0:
        raise UserError(f"{file}: expected a step of more than 0 seconds, found {spent.wall}")
    return spent
