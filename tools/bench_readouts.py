"""Train steps of spatial readouts with as many targets as Algonauts' (39,548), on maps as backbones make them.

The backbone has no parameters and costs next to nothing: a fixed projection of small images to the map's channels.
Each case runs in a process of its own; its peak memory includes what it started with.
"""

import json
import sys
from typing import Any

from bench_process import once, peak_memory_gb

Row = dict[str, Any]
READOUTS = ("Gaussian", "Factorized", "RetinaMap", "Attention")
MAPS = ((28, 40), (14, 112))  # side and channels: EfficientNet-Lite0's blocks 4 and 10 of 224-pixel images


def measure(quick: bool) -> list[Row]:
    """A row for each readout and map: images_per_second, memory_gb (the process's peak), before_gb."""
    batch, targets, seconds = (4, 400, 0.2) if quick else (32, 39548, 10.0)
    cases = [
        {"readout": readout, "size": side, "channels": channels}
        | {"batch": batch, "targets": targets, "seconds": seconds}
        for readout in READOUTS
        for side, channels in MAPS
    ]
    return [{**case, **once("bench_readouts.py", case)} for case in cases]


HEADER = ("readout", "map", "parameters", "images/s", "first call s", "peak memory GB", "of which before")


def table(rows: list[Row]) -> list[tuple[str, ...]]:
    return [
        (
            f"{row['readout']}, {row['targets']:,} targets, batch {row['batch']}",
            f"{row['size']} x {row['size']} x {row['channels']}",
            f"{row['parameters']:,}",
            f"{row['images_per_second']:,.1f}",
            f"{row['first_call_seconds']:.1f}",
            f"{row['memory_gb']:.2f}",
            f"{row['before_gb']:.2f}",
        )
        for row in rows
    ]


# -- the measured process --------------------------------------------------------------------------------------


def main() -> None:
    from functools import partial

    import bench_jaxlab
    import jax
    import numpy as np
    from bench_process import timed
    from flax import nnx

    from jaxlab import heads, models

    class Projection(nnx.Module):
        """Pixels times a fixed matrix: features "map"."""

        def __init__(self, channels: int):
            self.channels = channels

        def __call__(self, images: jax.Array, mode: Any) -> dict[str, jax.Array]:
            shape = (images.shape[-1], self.channels)
            return {"map": images @ np.random.default_rng(0).standard_normal(shape, dtype=np.float32)}

    class Map(models.Model):
        def build(self, in_channels: int, rngs: nnx.Rngs) -> nnx.Module:
            return Projection(case["channels"])

    case = json.loads(sys.argv[1])
    steps = bench_jaxlab.Steps(case, (Map(), getattr(heads, case["readout"])()))
    before = peak_memory_gb()
    first = timed(partial(steps.train, 1))["seconds"]
    count = max(2, round(case["seconds"] / timed(partial(steps.train, 1))["seconds"]))
    found = {
        "parameters": steps.parameters,
        "first_call_seconds": first,
        "images_per_second": case["batch"] * count / timed(partial(steps.train, count))["seconds"],
        "memory_gb": peak_memory_gb(),
        "before_gb": before,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
