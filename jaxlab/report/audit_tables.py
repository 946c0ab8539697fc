"""The terminal's view of an audit, for 80 columns."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jaxlab.core.words import counted

_TOP = 10
QUANTILES = {"lowest": 0.0, "quarter": 0.25, "median": 0.5, "3 quarters": 0.75, "highest": 1.0}
STATISTICS = ("mean", "std", "min", "max", "skew", "kurtosis")


def render(report: dict[str, Any], console: Console) -> None:
    """Print what it is of, images, targets or classes, what looks alike, and what is amiss."""
    console.print(Text(f"audit of {report['data']}{_at(report['at'])}"), soft_wrap=True)
    console.print()
    console.print(_images(report["splits"]))
    if report["targets"]:
        console.print("", _targets(report["targets"]), sep="\n")
    if report["classes"]:
        console.print("", _classes(report["classes"]), sep="\n")
    if report["alike"]:
        console.print("", _alike(report["alike"]), sep="\n")
    for number, sentence in enumerate(report["findings"], 1):
        console.print(Text(f"\n{number}. {sentence}"))
    if not report["findings"]:
        console.print("\nnothing seems amiss")


def _at(places: list[str]) -> str:
    return f" at {', '.join(places)}" if places else ""


def _table(title: str, first: str, *numbers: str) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), title=title, title_justify="left"
    )
    table.add_column(first, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def _images(splits: dict[str, Any]) -> Table:
    """A column a split; of sizes the commonest."""
    table = _table("images", "", *splits)
    for name, cells in image_rows(splits):
        table.add_row(name, *cells)
    return table


def image_rows(splits: dict[str, Any]) -> Iterable[tuple[str, list[str]]]:
    """(what, its text for each split); what is nowhere the case is left out."""
    of = list(splits.values())
    yield "images", [f"{s['images']:,}" for s in of]
    if any(s["samples"] != s["images"] for s in of):
        yield "samples", [f"{s['samples']:,}" for s in of]
    yield "size (height x width)", [next(iter(s["sizes"]), "-") for s in of]
    if any(len(s["sizes"]) > 1 for s in of):
        yield "other sizes", [f"{max(len(s['sizes']) - 1, 0)}" for s in of]
    yield "type", [", ".join(s["dtype"]) for s in of]
    for k, colour in enumerate(("red", "green", "blue")):
        yield f"{colour}, mean ± std", [f"{s['mean'][k]:.3f} ± {s['std'][k]:.3f}" for s in of]
    yield "range", [f"{s['min']:.3g} to {s['max']:.3g}" for s in of]
    yield "values at 0 and 255", [f"{s['at_0']:.1%}, {s['at_255']:.1%}" for s in of]
    for name in ("grey", "black_borders", "other_borders", "corrupt"):
        if any(s[name] for s in of):
            yield name.replace("_", " "), [f"{s[name]:,}" for s in of]


def _targets(targets: dict[str, Any]) -> Table:
    table = _table(counted(len(targets), "target"), "over targets", *QUANTILES)
    for name, values in target_rows(targets):
        table.add_row(name, *values)
    return table


def target_rows(targets: dict[str, Any]) -> Iterable[tuple[str, list[str]]]:
    """(statistic of a target, its quantiles over targets)."""
    for name in STATISTICS:
        values = [entry[name] for entry in targets.values() if entry[name] is not None]
        quantiles = np.quantile(values, list(QUANTILES.values())) if values else []
        yield name, [f"{value:.3g}" for value in quantiles]


def _classes(classes: dict[str, dict[str, int]]) -> Table:
    splits = list(next(iter(classes.values())))
    table = _table(counted(len(classes), "class", "classes"), "class", *splits)
    ordered = sorted(classes.items(), key=lambda item: -sum(item[1].values()))
    for name, counts in ordered[: 2 * _TOP]:
        table.add_row(Text(name), *(f"{counts[split]:,}" for split in splits))
    if len(ordered) > 2 * _TOP:
        table.add_row(f"and {len(ordered) - 2 * _TOP} smaller ones (--json has all)", *("" for _ in splits))
    return table


def alike_title(pairs: int) -> str:
    return counted(pairs, "pair of images that look the same", "pairs of images that look the same")


def _alike(alike: list[dict[str, Any]]) -> Table:
    table = _table(alike_title(len(alike)), "image", "split")
    table.add_column("like", overflow="fold")
    for name in ("split", "bits", "r"):
        table.add_column(name, justify="right")
    for pair in alike[:_TOP]:
        bits = "copy" if pair["exact"] else str(pair["bits"])
        cells = (Text(pair["id"]), pair["split"], Text(pair["like"]), pair["like_split"])
        table.add_row(*cells, bits, f"{pair['correlation']:.3f}")
    if len(alike) > _TOP:
        table.add_row(f"and {len(alike) - _TOP} more (--json has all)", *[""] * 5)
    return table
