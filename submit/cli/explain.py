"""The command that says what a submission was made of: explain."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from submit.cli.terminal import plain_console, visible
from submit.errors import SubmissionError, about
from submit.files.json_text import json_of
from submit.provenance.explanation import (
    Node,
    data_fingerprints,
    differing_settings,
    inference,
    soup_size,
    to_dict,
    tree,
)
from submit.provenance.record import Kept, read, sidecar

_FILE = click.Path(path_type=Path)
_SHOWN = 20  # settings in which members differ


@click.command()
@click.argument("file", type=_FILE)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with every member and difference.")
def explain(file: Path, as_json: bool) -> None:
    """Say what the submission FILE was made of, and if it changed.

    FILE is a submission with a FILE.provenance.json beside it, that JSON itself, or an npz of predictions. The record
    guards against accidents and not against deceit: it is not signed. Exit code 1
    where the submission was changed since, or is not there.

    \b
    Example:
      python -m submit explain submission.csv

    Then: `check` says whether the challenge takes it.
    """
    _refuse_run(file)
    kept = read(file)
    with about(sidecar(kept.path)):
        if as_json:
            click.echo(json_of(to_dict(kept), 1))
        else:
            _print(kept)
    if kept.faults:
        raise click.ClickException("; ".join(kept.faults))


def _refuse_run(path: Path) -> None:
    files = sorted(path.glob("predictions/*.npz"))
    if files and not sidecar(path).exists():
        there = ", ".join(map(str, files))
        raise SubmissionError(f"{path}: this is a run directory; name one of its predictions: {there}.")


def _print(kept: Kept) -> None:
    console, record = plain_console(), visible(kept.record)
    root = tree(record["provenance"])
    members = list(root.leaves())
    written = f", made {record['made']}" if record["made"] else ""
    console.print(Text(f"{kept.path}: {record['file']['bytes']:,} bytes{written}"), soft_wrap=True)
    console.print(Text(f"SHA-256 {record['file']['sha256']}"))
    if record["scores"]:
        console.print(Text("scores: " + _numbers(record["scores"])))
    console.print(_branch(root))
    console.print(Text(_data(data_fingerprints(members))))
    if found := differing_settings(members):
        console.print(_differences(found))


def _branch(node: Node) -> Tree:
    provenance = node.provenance
    head = [node.part, f"{node.share:.4f}" if node.share is not None and node.weight is not None else ""]
    head += [node.name, f"step {provenance['step']}" if "step" in provenance else ""]
    branch = Tree(Text("  ".join(word for word in head if word)))
    for line in _facts(provenance):
        branch.add(Text(line, style="dim"))
    for below in node.below:
        branch.add(_branch(below))
    return branch


def _facts(provenance: Mapping[str, Any]) -> Iterator[str]:
    if "method" in provenance and "run" in provenance:
        yield f"method: {provenance['method']}"
    if provenance.get("scores"):
        yield f"scores: {_numbers(provenance['scores'])}"
    if (line := inference(provenance)) is not None:
        yield f"inference: {line}"
    if (members := soup_size(provenance)) is not None:
        yield f"soup: weights averaged over {members} checkpoints"
    if isinstance(kept := provenance.get("kept"), int) and isinstance(
        parts := provenance.get("ensemble"), list
    ):
        yield f"selection by target: the best {kept} of {len(parts)}, whose mean shares follow"
    if "digest" in provenance:
        yield f"checkpoint: {str(provenance['digest'])[:12]}"
    if provenance.get("commit"):
        yield f"commit: {str(provenance['commit'])[:12]}"


def _numbers(scores: Any, before: str = "") -> str:
    """`validation pearson 0.5123, validation mse 0.8`."""
    if isinstance(scores, Mapping):
        return ", ".join(_numbers(value, f"{before}{name} ") for name, value in scores.items())
    return before + (f"{scores:.4g}" if isinstance(scores, float) else str(scores))


def _data(groups: dict[str, list[str]]) -> str:
    if len(groups) == 1:
        (fingerprint,) = groups
        return "data: not recorded" if fingerprint == "-" else f"data: the same for all, {fingerprint[:12]}"
    lines = [f"  {fingerprint[:12]}: {', '.join(names)}" for fingerprint, names in groups.items()]
    return "\n".join(["data: not the same for all", *lines])


def _differences(found: dict[str, dict[str, list[str]]]) -> Table:
    more = len(found) - _SHOWN
    caption = f"and {more:,} more, which --json lists" if more > 0 else None
    table = Table("setting", "value", "members", title="In what members differ", caption=caption)
    for setting, groups in list(found.items())[:_SHOWN]:
        for number, (value, names) in enumerate(groups.items()):
            table.add_row(*map(Text, ("" if number else setting, value, ", ".join(names))))
    return table
