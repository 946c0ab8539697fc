"""NX-414's IT_data.h5, simulated: images of objects, and neurons of whose drive a chosen share is the object's class.

python tools/simulate_nx414.py FILE [--labels 0.5] [--images 1500 300 300] [--neurons 168] [--side 64]

The course's own file has 224 pixels. `--labels` is the share of the variance of each neuron's drive that the class
alone explains; with 0 the objects are seen, but what they are called tells nothing of the responses beyond what the
pixels do. Everything follows from the seed.
"""

import dataclasses
from pathlib import Path

import click
import h5py
import numpy as np

from jaxlab.data.simulation.population import Population, make_population, spike_counts
from jaxlab.data.simulation.scenes import make_scenes

SPLITS = ("train", "val", "test")
MEAN, STD = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).reshape(2, 1, 3, 1, 1)  # ImageNet's


def with_share(population: Population, labels: float) -> Population:
    """`population`, whose class preferences make the share `labels` of each neuron's drive, by variance."""
    weights = population.weights.copy()
    rest = np.sqrt((1 - labels) / (weights[:3] ** 2).sum(0))
    weights[:3] *= rest
    weights[3] = np.sqrt(labels) * np.sign(weights[3])
    return dataclasses.replace(population, weights=weights)


def simulate(
    file: Path,
    labels: float,
    images: tuple[int, ...],
    neurons: int,
    side: int,
    categories: int,
    repeats: int,
    seed: int,
) -> None:
    """Write the file; images are (n, 3, side, side) float32, normalised as the course's are."""
    brain, *splits = np.random.SeedSequence(seed).spawn(1 + len(SPLITS))
    population = with_share(make_population(neurons, side, categories, brain), labels)
    with h5py.File(file, "w") as out:
        for name, count, own in zip(SPLITS, images, splits, strict=True):
            scene_seed, spike_seed = own.spawn(2)
            scenes = make_scenes(count, side, categories, scene_seed)
            pixels = np.moveaxis(scenes.images, 3, 1) / np.float32(255)
            out[f"stimulus_{name}"] = ((pixels - MEAN) / STD).astype(np.float32)
            out[f"object_{name}"] = np.array([f"object{k}".encode("latin-1") for k in scenes.category])
            rates = population.rates(scenes.images, scenes.category)
            # The course keeps those of the test images to itself: here they are for scoring.
            out[f"spikes_{name}"] = spike_counts(rates, repeats, spike_seed)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--labels", type=click.FloatRange(0, 1), default=0.5, show_default=True)
@click.option("--images", type=(int, int, int), default=(1500, 300, 300), show_default=True)
@click.option("--neurons", type=int, default=168, show_default=True)
@click.option("--side", type=int, default=64, show_default=True, help="Pixels of an image's sides.")
@click.option("--categories", type=int, default=8, show_default=True)
@click.option("--repeats", type=int, default=10, show_default=True, help="Presentations averaged.")
@click.option("--seed", type=int, default=0, show_default=True)
def main(**settings: object) -> None:
    """Write FILE."""
    simulate(**settings)  # type: ignore[arg-type]
    click.echo(f"{settings['file']}: written")


if __name__ == "__main__":
    main()
