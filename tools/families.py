"""The table of all families: parameters, key layouts, and how far each is from its reference.

    python tools/families.py [--markdown FILE]

Loads the weights of every golden of tests/reference/goldens/, and compares features and logits.
"""

import sys
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from reference import shapes  # noqa: E402
from reference.cases import CASES  # noqa: E402
from reference.networks import Case, outputs  # noqa: E402

from jaxlab.core import tree  # noqa: E402

COLUMNS = ("network", "parameters", "layout", "features", "relative", "logits", "relative")


def error(found: dict[str, np.ndarray], expected: dict[str, np.ndarray], logits: bool) -> list[str]:
    """Largest absolute difference, and the largest relative to its own feature's largest value."""
    names = [name for name in expected if (name == "logits") == logits]
    apart = {name: float(np.abs(found[name] - expected[name]).max()) for name in names}
    relative = [apart[name] / float(np.abs(expected[name]).max()) for name in names]
    return [f"{max(values):.1e}" if values else "-" for values in (list(apart.values()), relative)]


def row(case: Case) -> tuple[str, ...]:
    """One line; parameters without the classifier."""
    record, found, expected = outputs(case)
    _, params, _ = shapes.split(replace(case.config, classes=0), case.images[-1])
    figures = (*error(found, expected, logits=False), *error(found, expected, logits=True))
    return case.golden.rpartition("_")[0], f"{tree.count(shapes.flat(params)):,}", record["layout"], *figures


@click.command()
@click.option(
    "--markdown", type=click.Path(path_type=Path, dir_okay=False), help="Write the table to a file."
)
def main(markdown: Path | None) -> None:
    """Print the table."""
    lines = [row(case) for case in track(CASES, "comparing", transient=True)]
    table = Table(*COLUMNS, box=None)
    for line in lines:
        table.add_row(*line)
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    if markdown is not None:
        ruled = [COLUMNS, ("---",) * len(COLUMNS), *lines]
        markdown.write_text("".join(f"| {' | '.join(line)} |\n" for line in ruled), "utf-8")


if __name__ == "__main__":
    main()
