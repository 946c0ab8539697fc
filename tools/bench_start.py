"""From the start of `jaxlab train` to its first step's record, and where that time goes.

bench.py calls `measure`; run as a script with a case as JSON it is the process that is measured: the command itself,
with clocks around the parts, which ends at the first record.
"""

import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from bench_process import TOOLS, once

Row = dict[str, Any]
PARTS = ("import", "open data", "decode", "trace and lower", "compile or load", "the rest")
RESNET = ("model.depth=18", "model.pretrained=none", "images.size=(112,112)", "training.batch_size=16")
CASES = {"shallow_cnn": ("shallow_cnn.py", ()), "resnet18 112 px": ("resnet_finetune.py", RESNET)}


def measure(quick: bool, repeats: int) -> list[Row]:
    """A row for each config with an empty and with a filled compilation cache: seconds, medians of `repeats`."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        data = simulated(Path(folder) / "data", images=80 if quick else 500, size=112)
        for name, (config, settings) in CASES.items():
            command = ["train", str(TOOLS.parent / "configs" / config)]
            for setting in (*settings, f"data.root={data}", "training.epochs=none", "training.steps=4"):
                command += ["--set", setting]
            runs = {"cold": [], "warm": []}  # type: dict[str, list[Row]]
            for _ in range(1 if quick else repeats):
                with tempfile.TemporaryDirectory() as fresh:
                    for state, found in runs.items():
                        found.append(_one([*command, "--run", f"{fresh}/{state}"], f"{fresh}/cache"))
            rows += [{"config": name, "cache": state, **_medians(found)} for state, found in runs.items()]
    return rows


def simulated(folder: Path, images: int, size: int) -> Path:
    """A Kaggle folder of simulated images, written to `folder`."""
    from jaxlab.data.sources.simulated import Simulated

    Simulated(images=images, test_images=10, size=size).write_kaggle(folder)
    return folder


def _one(command: list[str], cache: str) -> Row:
    return once("bench_start.py", {"command": command}, JAXLAB_CACHE=cache, BENCH_START=str(time.time()))


def _medians(found: list[Row]) -> Row:
    return {part: median(run[part] for run in found) for part in (*PARTS, "total")}


HEADER = ("config", "cache", *PARTS, "total s")


def table(rows: list[Row]) -> list[tuple[str, ...]]:
    return [(r["config"], r["cache"], *(f"{r[part]:.2f}" for part in (*PARTS, "total"))) for r in rows]


# -- the measured process --------------------------------------------------------------------------------------

EVENTS = {
    "/jax/core/compile/jaxpr_trace_duration": "trace and lower",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "trace and lower",
    "/jax/core/compile/backend_compile_duration": "compile or load",  # with the cache's answer, where it has one
}


def main() -> None:
    start, spent = float(os.environ["BENCH_START"]), Counter[str]()
    sys.argv = ["jaxlab", *json.loads(sys.argv[1])["command"]]
    import jax.monitoring

    from jaxlab.cli import main as cli
    from jaxlab.data.sources.table import KaggleTable
    from jaxlab.experiment import experiment, inputs
    from jaxlab.training.journal import Journal

    spent["import"] = time.time() - start

    def listen(event: str, seconds: float, **_: Any) -> None:
        if event in EVENTS:
            spent[EVENTS[event]] += seconds

    def clocked(owner: Any, name: str, part: str) -> None:
        plain: Callable = getattr(owner, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            began = time.time()
            try:
                return plain(*args, **kwargs)
            finally:
                spent[part] += time.time() - began

        setattr(owner, name, wrapped)

    def first_record(*_: Any) -> None:
        total = time.time() - start
        rest = total - sum(spent.values())
        print(
            json.dumps({**{part: spent[part] for part in PARTS}, "the rest": rest, "total": total}),
            flush=True,
        )
        os._exit(0)

    jax.monitoring.register_event_duration_secs_listener(listen)
    clocked(KaggleTable, "open", "open data")
    clocked(experiment, "fingerprint", "open data")
    clocked(inputs, "decode_splits", "decode")
    Journal.write = first_record  # type: ignore[method-assign]
    cli.main()


if __name__ == "__main__":
    main()
