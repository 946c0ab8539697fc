"""Does predicting what an image shows help to predict the neurons that see it? One objective beside two.

python tools/two_objectives.py OUT FILE [FILE ...] [--pretrained WEIGHTS] [--seeds 3] [--epochs 30]

FILE: NX-414's file, or one of tools/simulate_nx414.py. A small network from scratch, or an EfficientNet-Lite0 with
pretrained weights, learns the activity alone, and beside it the object, at weights of 1 and 0.3 or learned. The best
epoch is the one with the best validation r of the activity. r and explained variance are of the test images where the
file has their spikes, as simulated ones do; the cosine is that of the objectives' gradients on the backbone, the mean
over epochs.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import h5py
import numpy as np
from variants import measured, show

from jaxlab.data import ColumnSplit, Images
from jaxlab.data.sources.nx414 import NX414
from jaxlab.experiment import Experiment, Objective, Training
from jaxlab.heads import Linear
from jaxlab.losses import CrossEntropy
from jaxlab.models import EfficientNet, ShallowCNN
from jaxlab.optim import AdamW, Cosine
from jaxlab.training import journal
from submit.metrics import explained_variance, pearson


def variants(base: Experiment) -> dict[str, Experiment]:
    """By name; `base` has the activity's head."""
    activity = Objective(head=base.head)
    plain = replace(base, head=Linear())

    def two(**weights: Any) -> Experiment:
        return replace(
            plain,
            objectives={
                "activity": activity,
                "object": Objective(loss=CrossEntropy(), of="label", **weights),
            },
        )

    learned = {
        "activity": replace(activity, learned=True),
        "object": Objective(loss=CrossEntropy(), of="label", learned=True),
    }
    return {
        "activity alone": replace(plain, objectives={"activity": activity}),
        "object 1": two(weight=1.0),
        "object 0.3": two(weight=0.3),
        "object learned": replace(plain, objectives=learned),
    }


def scores_of(run: Any) -> dict[str, float]:
    """Of the best checkpoint."""
    validation = run.evaluate()["validation"]
    found = {"validation r": validation["pearson"], "validation variance": validation["explained_variance"]}
    with h5py.File(run.experiment.data.root) as file:
        if "spikes_test" in file:
            truth, predicted = file["spikes_test"][()], run.predict_split("test").values
            found["test r"] = float(np.nanmean(pearson(predicted, truth)))
            found["test variance"] = float(np.nanmean(explained_variance(predicted, truth)))
    if "object/accuracy" in validation:
        found["object accuracy"] = validation["object/accuracy"]
    epochs = journal.read(run.rundir.metrics, "train")
    cosines = [epoch.get("activity/object/gradient_cosine") for epoch in epochs]
    if known := [cosine for cosine in cosines if cosine is not None]:
        found["cosine"] = float(np.mean(known))
    return found


@click.command()
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@click.option(
    "--pretrained", type=click.Path(path_type=Path, exists=True), help="Weights of an EfficientNet-Lite0."
)
@click.option("--seeds", default=3, show_default=True)
@click.option("--epochs", default=30, show_default=True)
def main(out: Path, files: tuple[Path, ...], pretrained: Path | None, seeds: int, epochs: int) -> None:
    """Train all, and print the tables."""
    small = ShallowCNN(channels=(32, 64, 64), kernel_sizes=(7, 3, 3))
    tuned = EfficientNet(variant="lite0", convention="tensorflow", pretrained=str(pretrained))
    for file in files:
        base = Experiment(
            data=NX414(root=str(file)),
            split=ColumnSplit(),
            images=Images(size=(64, 64)),
            model=tuned if pretrained else small,
            head=Linear(layer="block10", dropout=0.5) if pretrained else Linear(layer="level3", dropout=0.5),
            optimizer=AdamW(
                lr=3e-4 if pretrained else 1e-3, weight_decay=0.05, schedule=Cosine(warmup_epochs=1)
            ),
            training=Training(epochs=epochs, batch_size=50, ema=0.99),
        )
        print(file)
        show(measured(variants(base), seeds, out / file.stem, scores_of))


if __name__ == "__main__":
    main()
