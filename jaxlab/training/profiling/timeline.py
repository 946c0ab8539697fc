"""Where the time of some steps went, from the events of a trace (*.trace.json.gz) in Chrome's format."""

import gzip
import json
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jaxlab.core.scopes import STAGE
from jaxlab.training.profiling.operations import CONTROL, COPIES, REST, Kinds

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Spent:
    """Seconds a step. steps: that were traced; wall: of one, on the host's clock. devices: their number.

    host: {stage: seconds} of the loop's thread. device: {kind: seconds}, of each device, their mean: what several
    operations take at once counts for each. busy: seconds in which a device had any.
    """

    steps: int
    wall: float
    host: dict[str, float] = field(default_factory=dict)
    device: dict[str, float] = field(default_factory=dict)
    busy: float = 0.0
    devices: int = 0

    @property
    def idle(self) -> float:
        """Seconds in which a device had nothing to do."""
        return max(self.wall - self.busy, 0.0)


def spent_in(file: Path, kinds: Kinds, steps: int, seconds: float) -> Spent:
    """In so many steps that took so many seconds. kinds: of the operations, by program.

    Raises ValueError where the file is no trace, OSError as reading does.
    """
    try:
        with gzip.open(file, "rt", encoding="utf-8") as text:
            events = json.load(text)["traceEvents"]
    except (EOFError, KeyError, TypeError, zlib.error) as error:
        raise ValueError(f"{file} is no trace ({error!r})") from error
    timed = [one for one in events if one.get("ph") == "X" and "dur" in one]
    host: dict[str, float] = defaultdict(float)
    for one in timed:
        if one["name"].startswith(STAGE):
            host[one["name"].removeprefix(STAGE)] += one["dur"] * 1e-6 / steps
    device, busy = _devices(timed, _streams(events), kinds)
    count = len(busy)
    return Spent(
        steps,
        seconds / steps,
        dict(host),
        {kind: each * 1e-6 / steps / count for kind, each in device.items()},
        sum(busy.values()) * 1e-6 / steps / count if count else 0.0,
        count,
    )


def _devices(
    events: Iterable[Event], streams: Mapping[tuple[Any, Any], bool], kinds: Kinds
) -> tuple[dict[str, float], dict[Any, float]]:
    """Microseconds by kind, of all devices; and in which each was busy."""
    threads: dict[Any, list[tuple[float, float, Any, str]]] = defaultdict(list)
    for one in events:
        place = (one["pid"], one["tid"])
        arguments = one.get("args") or {}
        if "hlo_op" not in arguments and not streams.get(place, False):
            continue
        if streams and not streams.get(place, True):  # of a device, another line of the same operations
            continue
        unit = (one["pid"], arguments.get("device_ordinal"))
        threads[place].append((one["ts"], one["ts"] + one["dur"], unit, _kind(one["name"], arguments, kinds)))
    total: dict[str, float] = defaultdict(float)
    spans: dict[Any, list[tuple[float, float]]] = defaultdict(list)
    for found in threads.values():
        for seconds, (start, end, unit, kind) in _alone(found):
            if kind != CONTROL:
                total[kind] += seconds
                spans[unit].append((start, end))
    return total, {unit: _union(of) for unit, of in spans.items()}


def _kind(name: str, arguments: Mapping[str, Any], kinds: Kinds) -> str:
    if "hlo_op" not in arguments:  # what a GPU's stream does besides: Memcpy, Memset
        return COPIES
    operation = str(arguments["hlo_op"])
    module = kinds.get(str(arguments.get("hlo_module", "")), {})
    return module.get(operation, COPIES if operation.startswith("copy") else REST)


def _streams(events: Iterable[Event]) -> dict[tuple[Any, Any], bool]:
    """{(process, thread) of an accelerator: whether its events are what it did}; {} on a CPU.

    Of a TPU that is the line "XLA Ops", of a GPU its streams; other lines say the same once more.
    """
    processes = {
        one["pid"]
        for one in events
        if one.get("name") == "process_name" and str(one["args"].get("name", "")).startswith("/device:")
    }
    lines = {
        (one["pid"], one["tid"]): str(one["args"].get("name", ""))
        for one in events
        if one.get("name") == "thread_name" and one["pid"] in processes
    }
    return {place: name == "XLA Ops" or name.startswith("Stream") for place, name in lines.items()}


def _alone(
    found: list[tuple[float, float, Any, str]],
) -> Iterator[tuple[float, tuple[float, float, Any, str]]]:
    """Of each operation of one thread what it took itself, without those that ran within it."""
    order = sorted(found, key=lambda one: (one[0], -one[1]))
    within = [0.0] * len(order)
    open_: list[int] = []
    for number, (start, end, _, _) in enumerate(order):
        while open_ and order[open_[-1]][1] <= start:
            open_.pop()
        if open_:
            within[open_[-1]] += min(end, order[open_[-1]][1]) - start
        open_.append(number)
    for one, inner in zip(order, within, strict=True):
        yield max(one[1] - one[0] - inner, 0.0), one


def _union(spans: list[tuple[float, float]]) -> float:
    """How long at least one of them lasts."""
    total, until = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(end - max(start, until), 0.0)
        until = max(until, end)
    return total
