"""Does a spread loss help a network that underfits? Squared error alone, with the spread loss, and squashed targets.

python tools/spread_of_predictions.py OUT [--data FOLDER] [--seeds 3] [--epochs 40]

Without a Kaggle folder it is a simulated population of which each target is nearly unit normal, and half of its
variance signal. The network is small and is trained on, without regularisation, to overfit. Scores are of the network
after the last epoch: r, squared error in squared deviations of the training targets, the ratio of standard deviations
of predictions and targets, and the Kolmogorov-Smirnov distance of their distributions, means over targets.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from variants import measured, show

from jaxlab.data import Arrays, Images, KaggleTable
from jaxlab.data.simulation.population import make_population
from jaxlab.data.simulation.scenes import make_scenes
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear, Squashed
from jaxlab.losses import Mse, Ramp, Spread, WeightedSum
from jaxlab.models import ShallowCNN
from jaxlab.optim import AdamW, Cosine
from submit.files.atomic import atomic
from submit.metrics import ks_distance, pearson, spread_ratio

IMAGES, TARGETS, SIDE = 1500, 100, 32


def simulate(file: Path, seed: int = 0) -> None:
    """Images, and targets that are linear in the simulated neurons' signals, with as much noise."""
    brain, scenery, noise = np.random.SeedSequence(seed).spawn(3)
    population = make_population(TARGETS, SIDE, 8, brain)
    scenes = make_scenes(IMAGES, SIDE, 8, scenery)
    signals = population.signals(scenes.images, scenes.category)
    drive = np.einsum("nit,it->nt", (signals - signals.mean(0)) / signals.std(0), population.weights)
    drive /= drive.std(0)
    targets = (drive + np.random.default_rng(noise).standard_normal(drive.shape)) / np.sqrt(2)
    with atomic(file) as out:
        np.savez(out, images=scenes.images, targets=targets.astype(np.float32))


def variants(base: Experiment, epochs: float) -> dict[str, Experiment]:
    """By name."""
    fading = Ramp(start=1.0, end=0.0, epochs=epochs / 2)
    losses = {f"spread {weight}": (1.0, weight) for weight in (0.1, 0.3, 1.0)} | {
        "spread fading": (1.0, fading)
    }
    with_spread = {
        name: replace(base, loss=WeightedSum(losses=(Mse(), Spread()), weights=weights))
        for name, weights in losses.items()
    }
    squashed = {"squashed": replace(base, head=Squashed(head=base.head))}
    return {"squared error": base} | with_spread | squashed


def scores_of(run: Any) -> dict[str, float]:
    """Of the last checkpoint, on training and validation images."""
    found: dict[str, float] = {}
    truth = run.opened.train.target
    for split, rows, predicted, _ in run.labelled("last"):
        own, scale = truth[rows], truth.std(0)
        found |= {
            f"{split} r": float(np.nanmean(pearson(predicted, own))),
            f"{split} error": float((((predicted - own) / scale) ** 2).mean()),
            f"{split} spread": float(np.nanmean(spread_ratio(predicted, own))),
            f"{split} KS": float(np.nanmean(ks_distance(predicted, own))),
        }
    return found


@click.command()
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True),
    help="A Kaggle folder, in place of the simulation.",
)
@click.option("--seeds", default=3, show_default=True)
@click.option("--epochs", default=40, show_default=True)
def main(out: Path, data: Path | None, seeds: int, epochs: int) -> None:
    """Train all, and print the table."""
    out.mkdir(parents=True, exist_ok=True)
    if data is None and not (out / "data.npz").exists():
        simulate(out / "data.npz")
    base = Experiment(
        data=Arrays(root=str(out / "data.npz")) if data is None else KaggleTable(root=str(data)),
        images=Images(size=(SIDE, SIDE)),
        model=ShallowCNN(channels=(8, 16), kernel_sizes=(5, 3)),
        head=Linear(layer="level2"),
        optimizer=AdamW(lr=1e-3, schedule=Cosine(warmup_epochs=1)),
        training=Training(epochs=epochs, batch_size=50),
    )
    show(measured(variants(base, epochs), seeds, out, scores_of))


if __name__ == "__main__":
    main()
