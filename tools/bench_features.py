"""Features of EfficientNet-Lite0 into the store beside PyTorch's forward pass; a linear readout on cached features.

jaxlab's side reads image files, resizes them, computes every block's mean over positions and writes it; PyTorch's is
the forward pass alone, on a batch that lies ready. The repeats take turns.
"""

import json
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench_process import Worker, once, serve, timed
from bench_start import simulated
from bench_steps import spread, with_torch

Row = dict[str, Any]
EPOCHS = 100
LAYER = "block11"


def measure(quick: bool, repeats: int, torch_python: str | None) -> list[Row]:
    """A row: images_per_second of each side's repeats, and seconds of a readout's epochs."""
    images, size, batch = (40, 32, 4) if quick else (800, 224, 16)
    epochs = 2 if quick else EPOCHS
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        data = simulated(Path(folder), images=images, size=112)
        case = {"model": "efficientnet_lite0", "size": size, "batch": batch, "targets": 40}
        case |= {"images": images, "epochs": epochs, "root": str(data)}
        cache = f"{folder}/cache"
        workers = {"jaxlab": stack.enter_context(Worker("bench_features.py", case, JAXLAB_CACHE=cache))}
        counts = {"jaxlab": 1}
        if (python := with_torch(torch_python, "features")) is not None:
            workers["torch"] = stack.enter_context(Worker("bench_torch.py", case, python))
            counts["torch"] = images // batch
        found: Row = {key: {"images_per_second": []} for key in workers}
        for _ in range(repeats):
            for key, worker in workers.items():
                took = worker.ask("forward", counts[key])["seconds"]
                found[key]["images_per_second"].append(images / took)
        readout = once("bench_features.py", {**case, "train": True}, JAXLAB_CACHE=cache)
    return [{**case, **found, **readout}]


HEADER = (
    "network", "jaxlab images/s into the store", "torch images/s forward", "ratio", "readout", "epochs", "seconds"
)  # fmt: skip


def table(rows: list[Row]) -> list[tuple[str, ...]]:
    lines = []
    for row in rows:
        speeds = [row[key]["images_per_second"] for key in ("jaxlab", "torch") if key in row]
        medians = [statistics.median(values) for values in speeds]
        lines.append((
            f"{row['model']} {row['size']} px, {row['images']} images",
            spread(speeds[0]),
            spread(speeds[1]) if len(speeds) > 1 else "",
            f"{medians[0] / medians[1]:.2f}" if len(speeds) > 1 else "",
            f"Linear of {LAYER}, {row['targets']} targets",
            str(row["epochs"]),
            f"{row['train_seconds']:.1f}",
        ))  # fmt: skip
    return lines


# -- the measured processes ------------------------------------------------------------------------------------


def extraction(case: Row) -> None:
    """Serves "forward": so many times all of the images into an empty store."""
    import shutil

    import jax

    from jaxlab.core.store import cache_dir
    from jaxlab.encode import features, load_all

    experiment = experiment_of(case, layers=tuple(f"block{k}" for k in range(16)), pool="mean")
    samples = experiment.data.open().train
    encoders = load_all(experiment.data.encoders)

    def forward(count: int) -> None:
        for _ in range(count):
            shutil.rmtree(cache_dir() / "features", ignore_errors=True)
            features(encoders, samples)

    first = timed(lambda: forward(1))["seconds"]
    devices = f"{jax.local_device_count()} devices"
    serve(
        {"version": jax.__version__, "how": devices, "first_call": {"forward": first}}, {"forward": forward}
    )


def readout(case: Row) -> None:
    """Prints the seconds of a whole run, checkpoints and validation of each epoch among them; features are there."""
    from jaxlab.encode import features, load_all
    from jaxlab.runs.api import train

    experiment = experiment_of(case, layers=(LAYER,), pool="none")
    features(load_all(experiment.data.encoders), experiment.data.open().train)
    with tempfile.TemporaryDirectory() as folder:
        took = timed(lambda: train(experiment, Path(folder) / "run"))
    print(json.dumps({"train_seconds": took["seconds"]}))


def experiment_of(case: Row, layers: tuple[str, ...], pool: Any) -> Any:
    from jaxlab.training import runtime

    runtime.prepare()

    from jaxlab.data import Images, KaggleTable
    from jaxlab.encode import CachedFeatures, ImageEncoder
    from jaxlab.experiment import Experiment, Training
    from jaxlab.heads import Linear
    from jaxlab.models import EfficientNet, Features
    from jaxlab.optim import AdamW

    encoder = ImageEncoder(
        model=EfficientNet(variant="lite0"), images=Images(size=(case["size"],) * 2, filter="bicubic"),
        layers=layers, pool=pool,
    )  # fmt: skip
    return Experiment(
        data=CachedFeatures(data=KaggleTable(root=case["root"]), encoders=(encoder,)),
        model=Features(),
        head=Linear(layer=layers[-1], normalize=True, dropout=0.5),
        optimizer=AdamW(lr=1e-3, weight_decay=1.0),
        training=Training(epochs=case["epochs"], batch_size=min(32, case["images"] // 2)),
    )


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    readout(given) if given.get("train") else extraction(given)
