"""What of a run's network trains, from when and at which rate, as a table by layer."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

TuningEntry = dict[str, Any]
_ALIKE = ("trains", "rate", "after_epoch", "statistics")


def training_table(entries: Sequence[TuningEntry]) -> Table:
    """entries: run.json's "finetune", in the network's order. Neighbouring layers that train alike share lines."""
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), title="training", title_justify="left"
    )
    table.add_column("layer", overflow="fold")
    table.add_column("parameters", justify="right")
    table.add_column("peak rate", justify="right")
    table.add_column("trains")
    table.add_column("batch norm")
    for layers in _merged(entries):
        name = layers[0][0]["layer"] + (f" .. {layers[-1][0]['layer']}" if len(layers) > 1 else "")
        for parts in zip(*layers, strict=True):
            arrays = sum(part["arrays"] for part in parts)
            label = name if len(layers[0]) == 1 else f"{name}: {arrays} array{'s' * (arrays > 1)}"
            count = sum(part["parameters"] for part in parts)
            table.add_row(Text(label), f"{count:,}", *_cells(parts[0]), style=_style(parts[0]))
    return table


def _merged(entries: Sequence[TuningEntry]) -> Iterator[list[list[TuningEntry]]]:
    """Runs of layers, each layer a list of its entries, that are alike but for their sizes."""
    by_layer = [list(group) for _, group in itertools.groupby(entries, key=lambda entry: entry["layer"])]
    for _, run in itertools.groupby(by_layer, key=_signature):
        yield list(run)


def _signature(layer: Sequence[TuningEntry]) -> list[tuple[Any, ...]]:
    return [tuple(entry[name] for name in _ALIKE) for entry in layer]


def _cells(entry: TuningEntry) -> tuple[str, str, str]:
    rate = "-" if entry["rate"] is None else f"{entry['rate']:.3g}"
    after = entry["after_epoch"]
    when = {"no": "never", "unread": "never: not read"}.get(entry["trains"])
    when = when or (f"after epoch {after:g}" if after else "yes")
    return rate, when, {"train": "trains", "frozen": "frozen", None: "-"}[entry["statistics"]]


def _style(entry: TuningEntry) -> str | None:
    return None if entry["trains"] == "yes" else "dim"
