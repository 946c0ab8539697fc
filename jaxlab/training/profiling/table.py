"""Where a step's time goes, as lines of a terminal."""

from collections.abc import Iterator, Sequence

from jaxlab.core.words import counted
from jaxlab.training.profiling.timeline import Spent

Row = tuple[str, float]


def host_rows(spent: Spent) -> list[Row]:
    """(stage, its share of a step's time) on the host, and what is left."""
    rows = [(name, seconds / spent.wall) for name, seconds in spent.host.items()]
    return [*rows, ("the rest", max(1 - sum(share for _, share in rows), 0.0))]


def device_rows(spent: Spent) -> list[Row]:
    """(kind, its share) of the time in which a device was busy, the most first, and how long it was idle.

    Operations of a device that run at once share that time by what each takes.
    """
    total = sum(spent.device.values()) or 1.0
    busy = min(spent.busy / spent.wall, 1.0)
    rows = [(name, busy * seconds / total) for name, seconds in spent.device.items()]
    return [*sorted(rows, key=lambda row: -row[1]), ("idle", 1 - busy)]


def table(spent: Spent) -> str:
    """For 80 columns."""
    return "\n".join(_lines(spent))


def _lines(spent: Spent) -> Iterator[str]:
    yield f"profile: {counted(spent.steps, 'step')}, {spent.wall * 1e3:,.2f} ms each"
    yield from _part("the host", host_rows(spent), spent.wall)
    if spent.devices:
        title = "the device" if spent.devices == 1 else f"each of {spent.devices} devices"
        yield from _part(title, device_rows(spent), spent.wall)


def _part(title: str, rows: Sequence[Row], wall: float) -> Iterator[str]:
    yield f"  {title}"
    for name, share in rows:
        yield f"    {name:<24} {share * wall * 1e3:>10,.2f} ms {share:>6.1%}"
