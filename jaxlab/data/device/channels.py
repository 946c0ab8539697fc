"""Further input channels, computed on the device from the image as it was augmented, before it is normalised.

All are made of the luma (ITU-R BT.601) of intensities in 0..1 (floats are taken as they are), and scaled by fixed
numbers so that photographs of 100 to 400 pixels have a standard deviation near 1 (0.4 to 1.6), as normalised colours.
"""

import math
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxlab.core.config import Component
from jaxlab.core.types import UserError

Luma = Float[Array, "b h w"]
Maps = Float[Array, "b h w k"]


@dataclass(frozen=True, kw_only=True)
class Channel(Component):
    """Base of the channels that are computed; one component may make several."""

    @property
    def count(self) -> int:
        """How many channels it makes."""
        return 1

    def __call__(self, luma: Luma) -> Maps:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Grey(Channel):
    """The luma, normalised by the means of ImageNet's three means and standard deviations."""

    def __call__(self, luma: Luma) -> Maps:
        return ((luma - 0.449) / 0.226)[..., None]


@dataclass(frozen=True, kw_only=True)
class Gradient(Channel):
    """The derivatives down and across: 20 times the central difference per pixel. The edge is repeated."""

    @property
    def count(self) -> int:
        return 2

    def __call__(self, luma: Luma) -> Maps:
        rows, columns = _around(luma, 1), _around(luma, 2)
        return 10 * jnp.stack([rows[1] - rows[-1], columns[1] - columns[-1]], axis=-1)


@dataclass(frozen=True, kw_only=True)
class Sobel(Channel):
    """The length of Sobel's gradient, 20 times that of intensities per pixel."""

    def __call__(self, luma: Luma) -> Maps:
        return 20 * jnp.hypot(*_sobel(luma))[..., None]


@dataclass(frozen=True, kw_only=True)
class Canny(Channel):
    """Thin edges (Canny 1986): Sobel's gradient after a blur by `sigma` pixels, 0 where a neighbour along it has more.

    An edge keeps its strength, 40 times the gradient per pixel; there are no thresholds, and so no hysteresis.

    sigma: standard deviation of the blur, in pixels.
    """

    sigma: float = 1.0

    def check(self) -> None:
        if self.sigma <= 0:
            raise UserError(f"Canny.sigma: expected above 0, found {self.sigma}")

    def __call__(self, luma: Luma) -> Maps:
        return 40 * _thinned(*_sobel(_blurred(luma, self.sigma)))[..., None]


@dataclass(frozen=True, kw_only=True)
class GaborBank(Channel):
    """Energies of Gabor filters in quadrature, a channel for each of `wavelengths` (pixels) times `orientations`.

    Orientation number k: bars whose contrast changes along k * 180 / orientations degrees, from across to down. The
    envelope is round, of a standard deviation of 0.56 wavelengths: a bandwidth of one octave (half height).
    The filters are blind to uniform luma, and the energy of a grating at its best is 40 times its amplitude.

    orientations: how many, evenly spread over 180 degrees. wavelengths: of the gratings, in pixels.
    """

    orientations: int = 4
    wavelengths: tuple[float, ...] = (4.0, 8.0)

    def check(self) -> None:
        if self.orientations < 1:
            raise UserError(f"GaborBank.orientations: expected 1 or more, found {self.orientations}")
        if not self.wavelengths or min(self.wavelengths) < 2:
            raise UserError(
                f"GaborBank.wavelengths: expected one or more of at least 2 pixels, found {self.wavelengths}"
            )

    @property
    def count(self) -> int:
        return self.orientations * len(self.wavelengths)

    def __call__(self, luma: Luma) -> Maps:
        angles = [np.pi * k / self.orientations for k in range(self.orientations)]
        energies = [_gabor(luma, wavelength, angles) for wavelength in self.wavelengths]
        return 40 * jnp.concatenate(energies, axis=-1)


@dataclass(frozen=True, kw_only=True)
class FourierMagnitude(Channel):
    """log(1 + 50 |F|) of the orthonormal discrete Fourier transform of the luma less its mean.

    Its places are frequencies, not places of the image: zero in the centre, rising frequencies down and across.
    """

    def __call__(self, luma: Luma) -> Maps:
        centred = luma - luma.mean((1, 2), keepdims=True)
        spectrum = jnp.abs(jnp.fft.fft2(centred, norm="ortho"))
        return jnp.log1p(50 * jnp.fft.fftshift(spectrum, axes=(1, 2)))[..., None]


@dataclass(frozen=True, kw_only=True)
class Wavelet(Channel):
    """The discrete wavelet transform down to `level`, each coefficient repeated over the pixels that it stands for.

    Details of the finest level first, three a level (across, down, diagonal), then the remaining average, less 0.449.
    The low pass keeps the mean: a coefficient is the orthonormal one divided by 2 ** level, then multiplied by 25 for
    details and by 4 for the average. The edge is repeated.

    level: how often the average is taken apart; images have at least 2 ** level pixels a side.
    wavelet: "haar", or "db2" (Daubechies' four taps).
    """

    level: int = 1
    wavelet: Literal["haar", "db2"] = "haar"

    def check(self) -> None:
        if self.level < 1:
            raise UserError(f"Wavelet.level: expected 1 or more, found {self.level}")

    @property
    def count(self) -> int:
        return 3 * self.level + 1

    def __call__(self, luma: Luma) -> Maps:
        if 2**self.level > min(luma.shape[1:]):
            raise UserError(
                f"Wavelet.level: {self.level} needs images of at least {2**self.level} pixels, "
                f"found {luma.shape[1]} x {luma.shape[2]}"
            )
        maps, average = [], luma
        for level in range(1, self.level + 1):
            average, *details = _transform(average, _TAPS[self.wavelet])
            maps += [25 * _repeated(detail, level, luma.shape) for detail in details]
        maps.append(4 * (_repeated(average, self.level, luma.shape) - 0.449))
        return jnp.stack(maps, axis=-1)


def count_channels(channels: tuple[Channel, ...]) -> int:
    """How many maps all of them make."""
    return sum(channel.count for channel in channels)


def compute_channels(images: Float[Array, "b h w c"], channels: tuple[Channel, ...]) -> Maps:
    """The maps of every component in turn. images: intensities, of one channel or red, green and blue."""
    luma = images[..., 0]
    if images.shape[-1] == 3:
        luma = 0.299 * images[..., 0] + 0.587 * images[..., 1] + 0.114 * images[..., 2]
    return jnp.concatenate([channel(luma) for channel in channels], axis=-1)


def _around(x: Luma, axis: int) -> dict[int, Luma]:
    """{-1: the neighbour before each pixel, 0: itself, 1: the neighbour after it}; the edge is its own neighbour."""
    size = x.shape[axis]
    padded = jnp.pad(x, [(1, 1) if k == axis else (0, 0) for k in range(x.ndim)], mode="edge")
    return {step: jax.lax.slice_in_dim(padded, 1 + step, 1 + step + size, axis=axis) for step in (-1, 0, 1)}


def _sobel(luma: Luma) -> tuple[Luma, Luma]:
    """Derivatives down and across, per pixel: central differences, smoothed by (1, 2, 1) / 4 along the other axis."""
    slopes = []
    for along, other in ((1, 2), (2, 1)):
        beside = _around(luma, other)
        steps = _around((beside[-1] + 2 * beside[0] + beside[1]) / 4, along)
        slopes.append((steps[1] - steps[-1]) / 2)
    return slopes[0], slopes[1]


def _thinned(down: Luma, across: Luma) -> Luma:
    """The gradient's length where no neighbour along its direction has more; these are interpolated linearly."""
    length = jnp.hypot(down, across)
    rows = {r: _around(values, 2) for r, values in _around(length, 1).items()}
    steep = jnp.abs(down) > jnp.abs(across)
    most = jnp.maximum(jnp.abs(down), jnp.abs(across))
    share = jnp.minimum(jnp.abs(down), jnp.abs(across)) / jnp.where(
        most > 0, most, 1
    )  # of the diagonal neighbour
    same = down * across >= 0

    def neighbour(side: int) -> Luma:
        straight = jnp.where(steep, rows[side][0], rows[0][side])
        falling = rows[side][side]
        rising = jnp.where(steep, rows[side][-side], rows[-side][side])
        return (1 - share) * straight + share * jnp.where(same, falling, rising)

    return jnp.where((length >= neighbour(1)) & (length >= neighbour(-1)), length, 0)


def _blurred(luma: Luma, sigma: float) -> Luma:
    """Gaussian blur; weights are renormalised at the edges."""
    rows, columns = (_gaussian(size, sigma) for size in luma.shape[1:])
    return jnp.einsum("ih,bhw,jw->bij", rows, luma, columns, precision=jax.lax.Precision.HIGHEST)


def _gaussian(size: int, sigma: float) -> np.ndarray:
    distance = np.subtract.outer(np.arange(size), np.arange(size))
    weights = np.exp(-0.5 * (distance / sigma) ** 2)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _gabor(luma: Luma, wavelength: float, angles: list[float]) -> Maps:
    """Magnitude of the response to complex Gabor filters, by their transfer functions: Gaussians about the carrier.

    What the Gaussian lets through at frequency 0 is taken off again by one about 0, as in a Morlet wavelet.
    """
    height, width = luma.shape[1:]
    sigma = 0.56 * wavelength
    margin = math.ceil(4 * sigma)  # so that filters see the repeated edge, and not the opposite one
    padded = jnp.pad(luma, ((0, 0), (margin, margin), (margin, margin)), mode="edge")
    spectrum = jnp.fft.fft2(padded)
    down, across = (np.fft.fftfreq(size) for size in padded.shape[1:])

    def passed(frequency: np.ndarray, centre: float) -> np.ndarray:
        return np.exp(-2 * (np.pi * sigma * (frequency - centre)) ** 2).astype(np.float32)

    blind = math.exp(-2 * (math.pi * sigma / wavelength) ** 2)
    energies = []
    for angle in angles:
        rows, columns = passed(down, np.sin(angle) / wavelength), passed(across, np.cos(angle) / wavelength)
        about_zero = blind * passed(down, 0)[:, None] * passed(across, 0)[None]
        transfer = 2 * (rows[:, None] * columns[None] - about_zero)
        energies.append(jnp.abs(jnp.fft.ifft2(spectrum * transfer[None])))
    inside = (slice(None), slice(margin, margin + height), slice(margin, margin + width))
    return jnp.stack([energy[inside] for energy in energies], axis=-1)


_ROOT = math.sqrt(3)
_TAPS = {  # of the low pass; they sum to 1
    "haar": (0.5, 0.5),
    "db2": tuple(tap / 8 for tap in (1 + _ROOT, 3 + _ROOT, 3 - _ROOT, 1 - _ROOT)),
}


def _transform(x: Luma, low: tuple[float, ...]) -> list[Array]:
    """One level: the average and the details across, down and diagonal, each half as high and wide (rounded up)."""

    def low_and_high(x: Luma, axis: int) -> tuple[Array, Array]:
        high = tuple((-1) ** k * tap for k, tap in enumerate(reversed(low)))
        return _filtered(x, low, 0, axis), _filtered(x, high, len(low) - 2, axis)

    average_rows, detailed_rows = low_and_high(x, 1)
    average, across = low_and_high(average_rows, 2)
    down, diagonal = low_and_high(detailed_rows, 2)
    return [average, across, down, diagonal]


def _filtered(
    x: Luma, taps: tuple[float, ...], before: int, axis: int
) -> Float[Array, "b h_filtered w_filtered"]:
    """Correlated with `taps` at every second place, from `before` pixels before it on; the edge is repeated.

    Daubechies' low pass weighs its first taps most and the high pass its last: so both stand for the same pixels.
    """
    after = len(taps) - 2 - before + x.shape[axis] % 2
    padded = jnp.pad(x, [(before, after) if k == axis else (0, 0) for k in range(x.ndim)], mode="edge")
    ends = padded.shape[axis] - len(taps) + 1
    windows = (jax.lax.slice_in_dim(padded, k, k + ends, 2, axis) for k in range(len(taps)))
    return sum(tap * window for tap, window in zip(taps, windows, strict=True))  # type: ignore[return-value]


def _repeated(x: Luma, level: int, shape: tuple[int, ...]) -> Array:
    for axis in (1, 2):
        x = jnp.repeat(x, 2**level, axis=axis)
    return x[:, : shape[1], : shape[2]]
