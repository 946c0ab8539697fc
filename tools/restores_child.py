"""One link of restores.py: a checkpoint restored and gone on with, on as many devices as XLA_FLAGS says."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import jax  # isort: skip
import numpy as np  # isort: skip
from rich.console import Console

import jaxlab
from jaxlab.core.config import load_file
from jaxlab.experiment.recipe import resolve
from jaxlab.nn import spread
from jaxlab.runs.network.begin import began_with
from jaxlab.training.checkpoint import saved
from jaxlab.training.rundir import RunDirectory


def restored(experiment: Any, run: Path) -> dict[str, Any]:
    """What the newest checkpoint is on the devices here, and what this layout would write of it.

    {"step", "devices", "parallel", "leaves", "other": names of arrays that are not the same to the last bit, "held":
    bytes of parameters and optimizer state on the first device, "whole": of a copy}
    """
    checkpoint, opened = saved(run / "checkpoints")[-1], experiment.data.open()
    recipe = resolve(experiment, opened)
    layout = experiment.layout_with(began_with(RunDirectory(run)))
    learn, _ = recipe.input.portions(opened, recipe.training.positions, layout)
    stored = checkpoint.arrays()
    state = layout.put(recipe.initial_state(learn, layout=layout).from_arrays(stored))
    found, leaves = state.to_arrays(), jax.tree.leaves((state.params, state.opt_state))
    given = {
        name: leaves for name, leaves in stored.items() if name != "sums"
    }  # whose names have changed since 0.1
    other = [
        f"{field}.{path}"
        for field, named in given.items()
        for path, leaf in named.items()
        if found[field][path].dtype != leaf.dtype or not np.array_equal(found[field][path], leaf)
    ]
    return {
        "step": checkpoint.step,
        "devices": layout.count,
        "parallel": layout.parallel,
        "leaves": sum(map(len, given.values())),
        "other": other,
        "held": sum(leaf.addressable_shards[0].data.nbytes for leaf in leaves),
        "whole": sum(leaf.nbytes for leaf in leaves),
    }


def main() -> None:
    config, run, *settings = sys.argv[1:]
    spread.SMALL = 2  # of a small network, too, all is in parts
    experiment: Any = load_file(Path(config)).overridden(settings)
    found = restored(experiment, Path(run)) if Path(run).exists() else {}
    jaxlab.train(experiment, Path(run), allow_config_change=True, console=Console(file=io.StringIO()))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
