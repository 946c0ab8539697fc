"""The embedded default: a simulated population that sees synthetic images. No download."""

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxlab.core.machine import check_room
from jaxlab.core.types import Kind, Samples, UserError
from jaxlab.data.simulation.kaggle_folder import new_folder, write
from jaxlab.data.simulation.population import make_population, noise_ceiling, spike_counts
from jaxlab.data.simulation.scenes import Scenes, make_scenes
from jaxlab.data.source import Opened, Source


@dataclass(frozen=True, kw_only=True)
class Simulated(Source):
    """`images` labelled and `test_images` further scenes of `size` pixels, seen by `neurons`.

    A target is the mean spike count over `repeats` presentations; for classification the label is the category
    of the object in the scene. Everything follows from `seed`; the neurons are the same for any `images`.
    images, test_images: how many. neurons: how many targets. size: of an image's sides, in pixels.
    repeats: presentations that a response is the mean of.
    categories: of objects. kind: what is predicted, responses or categories.
    seed: of the images, the neurons and their noise.
    """

    images: int = 2000
    test_images: int = 500
    neurons: int = 40
    size: int = 64
    repeats: int = 10
    categories: int = 8
    kind: Kind = "regression"
    seed: int = 0

    def check(self) -> None:
        least = {
            "images": 2,
            "test_images": 1,
            "neurons": 1,
            "size": 16,
            "repeats": 1,
            "categories": 2,
            "seed": 0,
        }
        low = {name: getattr(self, name) for name, limit in least.items() if getattr(self, name) < limit}
        if low:
            raise UserError(
                f"Simulated: expected at least { ({name: least[name] for name in low}) }, found {low}"
            )
        most = {"repeats": 10**9, "seed": 2**64 - 1}
        high = {name: getattr(self, name) for name, limit in most.items() if getattr(self, name) > limit}
        if high:
            raise UserError(
                f"Simulated: expected at most { ({name: most[name] for name in high}) }, found {high}"
            )

    def open(self) -> Opened:
        train, test = _simulate(self)
        regression = self.kind == "regression"
        return Opened(
            train=_samples(train, "train", self.kind),
            test=_samples(test, "test", self.kind),
            kind=self.kind,
            targets=_names("n", self.neurons) if regression else _names("category", self.categories),
            ceiling=noise_ceiling(train.rates, self.repeats) if regression else None,
        )

    def write_kaggle(self, folder: Path) -> None:
        """Write train.csv, train/, test/ (PNG), sample_submission.csv, solution.csv and, for regression,
        solution.ceiling.npy: (t,) the noise ceiling over the test images. Raises UserError where `folder` holds
        anything: it could be data.
        """
        with new_folder(folder) as partial:
            write(partial, self.open(), "label")
            if self.kind == "regression":
                ceiling = noise_ceiling(_simulate(self)[1].rates, self.repeats)
                np.save(partial / "solution.ceiling.npy", ceiling)


@dataclass(frozen=True)
class _Recording:
    """One split: scenes, (n, t) expected counts, (n, t) averaged counts."""

    scenes: Scenes
    rates: np.ndarray
    responses: np.ndarray


@functools.lru_cache(maxsize=2)
def _simulate(config: Simulated) -> tuple[_Recording, _Recording]:
    check_room("Simulated", _room(config))
    neuron_seed, *split_seeds = np.random.SeedSequence(config.seed).spawn(3)
    population = make_population(config.neurons, config.size, config.categories, neuron_seed)

    def record(n: int, seed: np.random.SeedSequence) -> _Recording:
        scene_seed, spike_seed = seed.spawn(2)
        scenes = make_scenes(n, config.size, config.categories, scene_seed)
        rates = population.rates(scenes.images, scenes.category)
        return _Recording(scenes, rates, spike_counts(rates, config.repeats, spike_seed))

    train, test = split_seeds
    return record(config.images, train), record(config.test_images, test)


def _room(config: Simulated) -> dict[str, int]:
    """About how many bytes it takes, by fields, and not less; a test holds them to what is measured."""
    pixels, images = config.size**2, config.images + config.test_images
    return {
        "images, test_images and size": (6 * images + 60 * 256) * pixels,  # 256 scenes are made at a time
        "size and neurons": 66 * 9 * pixels * config.neurons,  # filters at nine places
        "images, test_images and neurons": 80 * images * config.neurons,
        "categories and neurons": 8 * config.categories * config.neurons,
    }


def _samples(recording: _Recording, split: str, kind: Kind) -> Samples:
    images, category = recording.scenes.images, recording.scenes.category
    return Samples(
        ids=np.array(_names(split, len(images))),
        read=lambda position: images[position],
        checksum=lambda position: hashlib.sha256(images[position].tobytes()).digest(),
        target=recording.responses if kind == "regression" else None,
        label=category if kind == "classification" else None,
        columns={"category": np.char.add("category", category.astype(str))},
    )


def _names(stem: str, count: int) -> tuple[str, ...]:
    """stem0, stem1, ... with as many digits as the last one needs."""
    digits = len(str(count - 1))
    return tuple(f"{stem}{position:0{digits}d}" for position in range(count))
