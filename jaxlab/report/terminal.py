"""The terminal's view of a report that `describe` made, for 80 columns."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from jaxlab.report.finetune import training_table
from jaxlab.report.folds import folds_table
from jaxlab.report.layers import Leaf, rows
from jaxlab.report.leaves import values
from jaxlab.report.variants import is_study, variants_table

_TOP = 20


def render(report: dict[str, Any], console: Console) -> None:
    """Print header, checkpoints, what trains, the newest checkpoint's tree, and the differences if asked for."""
    console.print(_header(report))
    checkpoints = report["checkpoints"]
    if "folds" in report:
        console.print("", folds_table(report), sep="\n")
    elif "variants" in report:
        console.print("", variants_table(report), sep="\n")
    elif not checkpoints:
        console.print("no checkpoint yet")
    elif checkpoints[0]["step"] is not None:
        console.print("", _checkpoints(checkpoints), sep="\n")
    if entries := (report["run"] or {}).get("finetune"):  # runs of earlier versions have none
        console.print("", training_table(entries), sep="\n")
    shown = next((entry for entry in reversed(checkpoints) if entry["leaves"]), None)
    if shown:
        console.print("", _tree(shown), sep="\n")
    if "diff" in report:
        _render_diff(report["diff"], console)


def _header(report: dict[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row(_header_name(report), Text(report["path"], overflow="fold"))
    for name, text in _facts(report):
        table.add_row(name, Text(text))
    return table


def _header_name(report: dict[str, Any]) -> str:
    entries = report["checkpoints"]
    if entries and entries[0]["step"] is None:
        return "weights" if Path(report["path"]).is_file() else "Orbax checkpoint"
    return "run" if report["run"] else "checkpoint"


def _facts(report: dict[str, Any]) -> Iterable[tuple[str, str]]:
    config, run, best, entries = (report[name] for name in ("config", "run", "best", "checkpoints"))
    if config:
        while is_study(config):
            for name, value in config.items():
                if name not in ("type", "experiment") and value:
                    yield name, value if isinstance(value, str) else json.dumps(value)
            config = config["experiment"]
        objectives = config.get("objectives") or {}
        parts = ("data", "pretext", "model", *(() if objectives else ("head", "loss")), "optimizer")
        names = [config[part]["type"] for part in parts if isinstance(config.get(part), dict)]
        if config["type"] != "Experiment":
            names.insert(0, config["type"])
        yield "config", ", ".join(names)
        for encoder in config.get("encoders") or ():
            yield "encoder", _encoder(encoder)
        for name, one in objectives.items():
            yield "objective", f"{name}: {_objective(one)}"
    if entries and entries[-1]["epoch"]:
        asked = ((config or {}).get("training") or {}).get("epochs")
        of = f" of {asked:g}" if asked else ""
        yield "step", f"{entries[-1]['step']:,} (epoch {entries[-1]['epoch']}{of})"
    if entries and entries[-1]["parameters"] is not None:
        params = entries[-1]["leaves"]["params"].values()
        size = _size(sum(leaf["bytes"] or 0 for leaf in params))
        yield "parameters", f"{entries[-1]['parameters']:,} in {len(params)} leaves, {size}"
    if best:
        yield "best", f"{best['metric'].replace('_', ' ')} {_figure(best['value'])} at step {best['step']:,}"
    for one in report["notices"]:
        times = f", {one['times']:,} times" if one["times"] > 1 else ""
        yield "amiss", f"step {one['step']:,}{times}: {one['text']}"
    if run and "soup" in run:
        yield "soup", _members(run["soup"])
    if run:
        for name, weights in _weights(run.get("weights") or {}):
            yield name, " <- ".join(_ancestors(weights))
        versions = {"python": run.get("python"), **run.get("versions", {})}
        yield "versions", ", ".join(f"{name} {version}" for name, version in versions.items() if version)
        yield "commit", run.get("commit") or "unknown"
        yield "data", (run.get("data") or {}).get("fingerprint", "unknown")[:12]
        devices = run.get("devices") or {}
        yield "devices", f"{devices.get('used')} x {devices.get('platform')}, {devices.get('cores')} cores"


def _objective(one: dict[str, Any]) -> str:
    """Its readout, loss, truth and weight."""
    of, weight = one["of"], one["weight"]
    of = f" of a {of['type']}" if isinstance(of, dict) else f" of {of}" if of else ""
    of += f" and a {one['distill']['type']}" if one.get("distill") else ""
    if isinstance(weight, dict):
        shown = f"{weight['start']:g} to {weight['end']:g} in {weight['epochs']:g} epochs"
    else:
        shown = f"{weight:g}{', learned from there' if one.get('learned') else ''}"
    return f"{one['head']['type']}, {one['loss']['type']}{of}, weight {shown}"


def _encoder(encoder: dict[str, Any]) -> str:
    """Its name, network, where its weights are from, and the layers that are kept."""
    model = encoder.get("model") or {}
    weights = model.get("pretrained") or "random weights"
    layers = encoder.get("layers") or ()
    shown = ", ".join(layers[:4]) + (f" and {len(layers) - 4} more" if len(layers) > 4 else "")
    parts = [encoder.get("name"), model.get("type", encoder["type"]), str(weights), shown or "its last layer"]
    return "; ".join(part for part in parts if part)


def _weights(record: dict[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    """Those of what sees images, and of what reads texts beside them."""
    parts = {"weights": record, "weights of texts": record.get("text") or {}}
    return ((name, part) for name, part in parts.items() if part.get("source"))


def _ancestors(weights: dict[str, Any]) -> Iterable[str]:
    """Where a network's first parameters came from, and where those had come from."""
    made = weights.get("run") or {}
    taken = f", step {made['step']:,}" if made else ""
    yield f"{weights.get('source')}{taken} (SHA-256 {str(weights.get('sha256', ''))[:12]})"
    if made.get("weights"):
        yield from _ancestors(made["weights"])


def _members(soup: dict[str, Any]) -> str:
    """What a soup was made of: the checkpoints taken, of how many."""
    taken = [f"{member['run']} step {member['step']}" for member in soup["members"] if member["taken"]]
    how = "greedy choice" if soup["greedy"] else "average"
    return f"{how} of {len(taken)} of {len(soup['members'])} checkpoints: {', '.join(taken)}"


def _checkpoints(entries: list[dict[str, Any]]) -> Table:
    """Step, epoch, size, state and digest, with the scores that fit beside them."""
    names = _scores(entries)
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), title="checkpoints", title_justify="left"
    )
    for name in ("step", "epoch", *(name.replace("_", " ") for name in names), "size"):
        table.add_column(Text(name), justify="right")
    table.add_column("files")
    table.add_column("digest", no_wrap=True)
    for entry in entries:
        step = f"{entry['step']:,}{' *' if entry['best'] else '  '}"
        scores = [_figure(entry["metrics"].get(name)) for name in names]
        state = "damaged" if entry["damaged"] else "verified" if entry["verified"] else "present"
        digest = Text((entry["digest"] or "")[:12])
        style = "red" if entry["damaged"] else None
        table.add_row(step, _text(entry["epoch"]), *scores, _size(entry["bytes"]), state, digest, style=style)
    table.caption = "* best" if any(entry["best"] for entry in entries) else None
    table.caption_justify = "left"
    return table


def _scores(entries: list[dict[str, Any]]) -> list[str]:
    """The loss and the first other score: what an 80-column line has room for."""
    recorded = dict.fromkeys(name for entry in entries for name in entry["metrics"])
    return [*(name for name in recorded if name == "loss"), *(name for name in recorded if name != "loss")][
        :2
    ]


def _tree(entry: dict[str, Any]) -> Table:
    """Parameters leaf by leaf, a line for each other field; every field of another tool's checkpoint."""
    leaves, stats = entry["leaves"], entry.get("stats")
    expanded = {"params": leaves["params"]} if "params" in leaves else leaves
    title = f"step {entry['step']:,}" if entry["step"] is not None else "tree"
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), title=title, title_justify="left"
    )
    table.add_column("leaf", overflow="fold", ratio=1)
    table.add_column("shape")
    for name in _FIGURES if stats else ("dtype", "values", "memory"):
        table.add_column(name, justify="left" if name == "dtype" else "right")
    for field, named in leaves.items():
        joined = {path: {**leaf, **(stats[field][path] if stats else {})} for path, leaf in named.items()}
        if joined:
            single = list(joined) == ["value"]  # a field that is one array, such as the step
            _add(table, 0, field, list(joined.values()), single, bool(stats), bold=field in expanded)
        for row in rows(joined, 1) if field in expanded and not single else ():
            _add(table, row.depth, row.name, row.leaves, row.is_leaf, bool(stats))
    if not stats:
        table.add_section()
        _add(
            table,
            0,
            "total",
            [leaf for named in leaves.values() for leaf in named.values()],
            False,
            False,
            True,
        )
    return table


_FIGURES = ("norm", "mean", "std", "NaN", "inf")


def _add(
    table: Table, depth: int, name: str, leaves: list[Leaf], is_leaf: bool, stats: bool, bold: bool = False
) -> None:
    label = Text("  " * depth + name, style="bold" if bold else "" if is_leaf else "cyan")
    shape = "x".join(map(str, leaves[0]["shape"])) or "scalar" if is_leaf else ""
    style = None if is_leaf or bold else "dim"
    table.add_row(label, Text(shape), *(_figures if stats else _sizes)(leaves, is_leaf), style=style)


def _sizes(leaves: list[Leaf], is_leaf: bool) -> list[str | Text]:
    dtypes = {leaf["dtype"] for leaf in leaves}
    dtype = dtypes.pop() if len(dtypes) == 1 else "mixed"
    return [Text(dtype), f"{sum(map(values, leaves)):,}", _size(sum(leaf["bytes"] or 0 for leaf in leaves))]


def _figures(leaves: list[Leaf], is_leaf: bool) -> list[str]:
    """Of one leaf all; of several the norm together and the counts."""
    norm = math.sqrt(sum(leaf["norm"] ** 2 for leaf in leaves if leaf["norm"] is not None))
    mean, std = (_figure(leaves[0][name]) if is_leaf else "" for name in ("mean", "std"))
    counts = [sum(leaf[name] for leaf in leaves) for name in ("nan", "inf")]
    return [_figure(norm), mean, std, *(f"[red]{count:,}[/]" if count else "0" for count in counts)]


def _render_diff(diff: dict[str, Any], console: Console) -> None:
    here, there = diff["steps"]
    console.print()
    console.print(Text(f"differences from {diff['path']}", style="bold", overflow="fold"))
    for title, lines in (
        ("config", diff["config"]),
        ("run", diff["run"]),
        ("only here", diff["only_here"]),
        ("only there", diff["only_there"]),
        ("shape or dtype", [f"{name}: {a} -> {b}" for name, (a, b) in diff["shapes"].items()]),
    ):
        _render_lines(title, lines, console)
    if diff["identical"] is None:
        console.print("no checkpoint to compare on one side")
        return
    same = "identical" if diff["identical"] else "different"
    console.print(f"parameters of step {here:,} here and step {there:,} there: [bold]{same}[/]")
    differing = {name: leaf for name, leaf in diff["leaves"].items() if leaf["relative"] != 0.0}
    if differing:
        console.print(_differing(differing))
    for one in diff["load"]:
        console.print(Text(f"does not go on here: {one['why']}"), soft_wrap=True)
        console.print(Text(f"  mend: {one['mend'].replace('=RUN', '=' + diff['path'])}"), soft_wrap=True)
    if not any(
        (diff["config"], diff["run"], diff["only_here"], diff["only_there"], diff["shapes"], differing)
    ):
        console.print("nothing differs")


def _render_lines(title: str, lines: list[str], console: Console) -> None:
    for line in lines[:_TOP]:
        console.print(Text(f"  {title}: {line}"), overflow="ellipsis", no_wrap=True)
    if len(lines) > _TOP:
        console.print(f"  {title}: and {len(lines) - _TOP} more (--json has all)")


def _differing(leaves: dict[str, dict[str, Any]]) -> Table:
    """The parameters that differ most; of the other fields, how many differ and the most."""
    table = Table("leaf", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column("relative", justify="right")
    table.add_column("max abs", justify="right")
    params = {name: leaf for name, leaf in leaves.items() if name.startswith("params.")}
    for name, leaf in list(params.items())[:_TOP]:
        table.add_row(Text(name), _figure(leaf["relative"]), _figure(leaf["max_abs"]))
    if len(params) > _TOP:
        table.add_row(f"and {len(params) - _TOP} more of params (--json has all)", "", "")
    for field in dict.fromkeys(name.split(".", 1)[0] for name in leaves if name not in params):
        members = [leaf for name, leaf in leaves.items() if name.startswith(f"{field}.")]
        most = [_figure(members[0][name]) for name in ("relative", "max_abs")]
        table.add_row(Text(f"largest in {field} ({len(members)} differ)"), *most, style="dim")
    return table


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _text(value: object) -> str:
    return "-" if value is None else str(value)


def _size(count: int) -> str:
    return decimal(count).replace(" bytes", " B ").replace(" byte", " B ")
