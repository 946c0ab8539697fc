"""Speed and memory of jaxlab beside its peers, measured in one sitting on this machine.

    python tools/bench.py all --torch-python ../torch/bin/python --json bench.json

For a maintainer, on a machine with nothing else to do. Each measurement runs in a fresh process.
"""

import importlib.metadata
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bench_features
import bench_input
import bench_loader
import bench_readouts
import bench_ridge
import bench_start
import bench_steps
import bench_submit
import click
from bench_process import cores, processor
from rich.console import Console
from rich.table import Table

PACKAGES = ("jaxlab", "jax", "jaxlib", "flax", "numpy", "pandas")
PARTS = ("steps", "readouts", "start", "input", "loader", "features", "ridge", "submit")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("parts", nargs=-1, required=True, type=click.Choice([*PARTS, "all"]))
@click.option(
    "--torch-python", metavar="PATH", type=click.Path(exists=True, dir_okay=False),
    help="A Python that has torch, and himalaya for `ridge`; without it jaxlab is measured alone.",
)  # fmt: skip
@click.option(
    "--repeats",
    default=5,
    show_default=True,
    type=click.IntRange(1),
    help="Repeats in `steps`, `start`, `loader`, `features`.",
)
@click.option(
    "--model", "models", multiple=True, type=click.Choice(list(bench_steps.SIZES)),
    help="Measure this network alone in `steps`; repeat it for several.",
)  # fmt: skip
@click.option(
    "--quick", is_flag=True, help="Tiny sizes: shows that every part works; the figures mean nothing."
)
@click.option(
    "--json",
    "json_path",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write all figures to FILE.",
)
def main(
    parts: tuple[str, ...],
    torch_python: str | None,
    repeats: int,
    models: tuple[str, ...],
    quick: bool,
    json_path: Path | None,
) -> None:
    """Measure PARTS, in this order:

    \b
    steps     train steps (of SAM and two objectives too) and forward passes, images/s, beside PyTorch on the CPU
    readouts  train steps of Gaussian and factorized readouts with 39,548 targets, images/s and peak memory
    start     seconds from `jaxlab train` to the first step's record, cold and warm compilation cache
    input     images/s of decoding, batching and transfers, beside the train step's
    loader    images/s of decoding and resizing JPEG files, beside torch's DataLoader on the same two cores
    features  images/s of a frozen network's features into the store, beside PyTorch's forward pass; a readout's epochs
    ridge     seconds and peak memory of cross-validated ridge regression, beside himalaya
    submit    seconds and peak memory of writing, checking and scoring large predictions, beside pandas
    """
    measures: dict[str, tuple[Any, Callable[[], list[dict[str, Any]]]]] = {
        "steps": (bench_steps, lambda: bench_steps.measure(quick, repeats, torch_python, models)),
        "readouts": (bench_readouts, lambda: bench_readouts.measure(quick)),
        "start": (bench_start, lambda: bench_start.measure(quick, repeats)),
        "input": (bench_input, lambda: bench_input.measure(quick)),
        "loader": (bench_loader, lambda: bench_loader.measure(quick, repeats, torch_python)),
        "features": (bench_features, lambda: bench_features.measure(quick, repeats, torch_python)),
        "ridge": (bench_ridge, lambda: bench_ridge.measure(quick, torch_python)),
        "submit": (bench_submit, lambda: bench_submit.measure(quick)),
    }
    machine = {"processor": processor(), "cores": cores(), "python": sys.version.split()[0]}
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(
        " ".join(f"{name}={value}" for name, value in {**machine, **versions}.items()), highlight=False
    )
    results: dict[str, Any] = {"schema": 1, "quick": quick, "machine": machine, "versions": versions}
    for part in PARTS:
        if part in parts or "all" in parts:
            module, measure = measures[part]
            results[part] = measure()
            console.print(_table(part, module.HEADER, module.table(results[part])))
            if json_path is not None:
                json_path.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


def _table(title: str, header: tuple[str, ...], lines: list[tuple[str, ...]]) -> Table:
    table = Table(*header, title=title, title_justify="left")
    for line in lines:
        table.add_row(*line)
    return table


if __name__ == "__main__":
    main()
