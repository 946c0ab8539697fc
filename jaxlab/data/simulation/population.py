"""Simulated neurons: known filters and nonlinearities, Poisson spikes, so that the noise ceiling is known."""

from dataclasses import dataclass

import numpy as np

from jaxlab.data.simulation.scenes import make_scenes

_REFERENCE = 256  # scenes that fix the scale of every signal, whatever the number of images asked for
_CHUNK = 512
_PLACES = 9


@dataclass(frozen=True)
class Population:
    """Fixed neurons. Their rates on images follow from `rates`; every array has one column a neuron.

    even, odd: (s * s, 9 * t) Gabor filters on luminance, at nine places a neuron.
    pool: (s * s, t) windows for colour and contrast.
    opponent: (3, t) the direction in RGB that is pooled. preference: (k, t) gain of each category.
    weights: (4, t) of Gabor energy, pooled colour, pooled contrast and category in the drive.
    scale: (2, 4, t) mean and standard deviation of those signals on reference scenes.
    sharpness, count: (t,) of the output nonlinearity, and mean spike count.
    """

    even: np.ndarray
    odd: np.ndarray
    pool: np.ndarray
    opponent: np.ndarray
    preference: np.ndarray
    weights: np.ndarray
    scale: np.ndarray
    sharpness: np.ndarray
    count: np.ndarray

    def rates(self, images: np.ndarray, category: np.ndarray) -> np.ndarray:
        """(n, t) float64 expected spike counts on (n, s, s, 3) uint8 images: softplus of weighted signals."""
        signals = (self.signals(images, category) - self.scale[0]) / self.scale[1]
        drive = np.einsum("nit,it->nt", signals, self.weights)
        gain = np.logaddexp(0, self.sharpness * drive + 0.5)
        return self.count * gain / np.logaddexp(0, 0.5)

    def signals(self, images: np.ndarray, category: np.ndarray) -> np.ndarray:
        """(n, 4, t) float64: Gabor energy, pooled opponent colour, pooled contrast, category preference."""
        starts = range(0, len(images), _CHUNK)
        return np.concatenate(
            [self._signals(images[k : k + _CHUNK], category[k : k + _CHUNK]) for k in starts]
        )

    def _signals(self, images: np.ndarray, category: np.ndarray) -> np.ndarray:
        pixels = images.reshape(len(images), -1, 3).astype(np.float32) / 255
        luminance = pixels.mean(-1)
        places = np.hypot(luminance @ self.even, luminance @ self.odd)
        energy = places.reshape(len(images), _PLACES, -1).mean(1)
        mean = luminance @ self.pool
        contrast = np.sqrt(np.maximum(luminance**2 @ self.pool - mean**2, 0))
        # Channel by channel: one (n, pixels) @ (pixels, t) product each, weighted by the neuron's direction.
        colour = sum(self.opponent[c] * (pixels[..., c] @ self.pool) for c in range(3))
        return np.stack([energy, colour, contrast, self.preference[category]], axis=1).astype(np.float64)


def make_population(neurons: int, size: int, categories: int, seed: np.random.SeedSequence) -> Population:
    """`neurons` drawn from `seed`: half of a neuron's drive, by variance, is Gabor energy on average."""
    draw_seed, scene_seed = seed.spawn(2)
    rng = np.random.default_rng(draw_seed)
    even, odd = _gabors(neurons, size, rng)
    weights = np.sqrt(rng.dirichlet([4, 2, 1.5, 0.5], neurons).T) * _signs(neurons, rng)
    opponent = rng.standard_normal((3, neurons))
    unscaled = Population(
        even=even,
        odd=odd,
        pool=_windows(neurons, size, rng),
        opponent=(opponent - opponent.mean(0)) / np.linalg.norm(opponent - opponent.mean(0), axis=0),
        preference=rng.standard_normal((categories, neurons)),
        weights=weights,
        scale=np.zeros((2, 4, neurons)),
        sharpness=rng.uniform(0.5, 1.0, neurons),
        count=rng.uniform(0.5, 4, neurons),
    )
    scenes = make_scenes(_REFERENCE, size, categories, scene_seed)
    signals = unscaled.signals(scenes.images, scenes.category)
    scale = np.stack([signals.mean(0), signals.std(0)])
    return Population(**{**vars(unscaled), "scale": scale})


def _signs(neurons: int, rng: np.random.Generator) -> np.ndarray:
    """Gabor energy excites; the other signals excite or suppress."""
    signs = rng.choice([-1.0, 1.0], (4, neurons))
    signs[0] = 1
    return signs


def _grid(size: int, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(s * s, t) offsets down and across from each neuron's centre, in image widths."""
    axis = (np.arange(size) + 0.5) / size - 0.5
    y, x = np.meshgrid(axis, axis, indexing="ij")
    return y.reshape(-1, 1) - centre[0], x.reshape(-1, 1) - centre[1]


def _gabors(neurons: int, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Quadrature pairs on a 3 x 3 grid of places: one orientation and one frequency a neuron.

    A complex cell that tolerates small displacements: what a convolution, a nonlinearity and pooling can learn.
    """
    corner = np.array([-0.15, 0.0, 0.15])
    grid = np.stack(np.meshgrid(corner, corner, indexing="ij")).reshape(2, _PLACES, 1)
    centre = grid + rng.uniform(-0.15, 0.15, (2, 1, neurons))
    y, x = _grid(size, centre.reshape(2, -1))
    angle = np.tile(rng.uniform(0, np.pi, neurons), _PLACES)
    finest = min(12, size / 4)  # four pixels a cycle at least
    frequency = np.tile(finest * rng.uniform(0.6, 1, neurons), _PLACES)
    envelope = np.exp(-(x**2 + y**2) / (2 * (0.4 / frequency) ** 2))
    phase = 2 * np.pi * frequency * (x * np.cos(angle) + y * np.sin(angle))
    even, odd = envelope * np.cos(phase), envelope * np.sin(phase)
    even -= envelope * (even.sum(0) / envelope.sum(0))  # blind to uniform luminance
    even, odd = (filters / np.linalg.norm(filters, axis=0) for filters in (even, odd))
    return even.astype(np.float32), odd.astype(np.float32)


def _windows(neurons: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """(s * s, t) Gaussian windows of standard deviation 0.12 to 0.25 image widths; each sums to 1."""
    y, x = _grid(size, rng.uniform(-0.15, 0.15, (2, neurons)))
    window = np.exp(-(x**2 + y**2) / (2 * rng.uniform(0.12, 0.25, neurons) ** 2))
    return (window / window.sum(0)).astype(np.float32)


def spike_counts(rates: np.ndarray, repeats: int, seed: np.random.SeedSequence) -> np.ndarray:
    """(n, t) float32 Poisson counts averaged over `repeats` presentations (their sum is Poisson too)."""
    rng = np.random.default_rng(seed)
    return (rng.poisson(rates * repeats) / repeats).astype(np.float32)


def noise_ceiling(rates: np.ndarray, repeats: int) -> np.ndarray:
    """(t,) share of the averaged response's variance over these images that is signal.

    Poisson variance equals the mean rate, so that of an average of r repeats is mean / r:
    Var(rate) / (Var(rate) + E[rate] / r).
    """
    signal = rates.var(axis=0)
    return signal / (signal + rates.mean(axis=0) / repeats)
