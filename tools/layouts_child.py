"""One layout's side of layouts.py, in a process that has as many devices as XLA_FLAGS says; a case as JSON."""

import json
import sys
from functools import partial
from typing import Any

from bench_jaxlab import Steps
from bench_process import serve

import jax  # isort: skip
import numpy as np  # isort: skip

LOSSES = 3


def held(state: Any) -> dict[str, int]:
    """Bytes of parameters and optimizer state: on the first device, and of a whole copy."""
    leaves = jax.tree.leaves((state.params, state.opt_state))
    here = [leaf.addressable_shards[0].data for leaf in leaves]
    return {name: sum(leaf.nbytes for leaf in some) for name, some in (("held", here), ("whole", leaves))}


def main() -> None:
    steps = Steps(json.loads(sys.argv[1]))
    found, losses = held(steps.state), []
    for _ in range(LOSSES):
        steps.train(1)
        losses.append(float(np.asarray(steps.reported["loss"].addressable_data(0))))
    assert held(steps.state) == found, "a step leaves the state as it lay"
    layout = steps.layout
    said = {"parallel": layout.parallel, "devices": layout.count, "mesh": dict(layout.mesh.shape)}
    serve({**said, **found, "losses": losses}, {"train": partial(steps.train)})


if __name__ == "__main__":
    main()
