"""Computed channels against scipy, numpy and PyWavelets; what the network sees of colours, masks and channels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import pywt
from scipy import ndimage

from jaxlab.core.types import UserError
from jaxlab.data.device.augment import Blur, BoxBlur, Brightness, Flip, Normalize
from jaxlab.data.device.channels import (
    Canny,
    Channel,
    FourierMagnitude,
    GaborBank,
    Gradient,
    Grey,
    Sobel,
    Wavelet,
    compute_channels,
    count_channels,
)
from jaxlab.data.device.preprocess import Preprocess

RNG = np.random.default_rng(0)
LUMA = np.stack([ndimage.gaussian_filter(RNG.random((23, 30)), 1.2) for _ in range(2)]).astype(np.float32)
ALL = (Grey(), Gradient(), Sobel(), Canny(), GaborBank(), FourierMagnitude(), Wavelet(level=2))


def made(channel: Channel, luma: np.ndarray = LUMA) -> np.ndarray:
    found = np.asarray(channel(jnp.asarray(luma)))
    assert found.shape == (*luma.shape, channel.count)
    assert found.dtype == np.float32
    return found


def each(function, *arguments, **fields) -> np.ndarray:
    """scipy's filter on each image."""
    return np.stack([function(image, *arguments, **fields) for image in LUMA])


def test_gradient_is_the_central_difference() -> None:
    """np.gradient is one-sided at the edge; here the edge is repeated, which halves that."""
    down, across = (np.stack([np.gradient(image, axis=k) for image in LUMA]) for k in (0, 1))
    down[:, [0, -1]] /= 2
    across[:, :, [0, -1]] /= 2
    np.testing.assert_allclose(made(Gradient()), 20 * np.stack([down, across], -1), atol=1e-5)


def test_sobel_is_scipys() -> None:
    slopes = [each(ndimage.sobel, axis=k, mode="nearest") / 8 for k in (0, 1)]
    np.testing.assert_allclose(made(Sobel())[..., 0], 20 * np.hypot(*slopes), atol=1e-5)


def test_canny_keeps_the_crest_of_each_edge() -> None:
    """A loop over pixels, with scipy's blur and gradient; the edge of the image, where blurs differ, is left out."""
    found = made(Canny(sigma=1.0))[..., 0]
    for image, thin in zip(LUMA, found, strict=True):
        blurred = ndimage.gaussian_filter(image.astype(np.float64), 1.0, truncate=8)
        down, across = (ndimage.sobel(blurred, axis=k) / 8 for k in (0, 1))
        length = np.hypot(down, across)
        for y in range(6, 17):
            for x in range(6, 24):
                pixel, slope = np.array([y, x]), np.array([down[y, x], across[y, x]])
                beside = np.stack(
                    [pixel + slope / abs(slope).max(), pixel - slope / abs(slope).max()], axis=1
                )
                ahead, behind = ndimage.map_coordinates(length, beside, order=1)
                crest = 40 * length[y, x] if length[y, x] >= max(ahead, behind) else 0
                assert thin[y, x] == pytest.approx(crest, abs=1e-4)


def test_a_step_becomes_one_line_of_its_strength() -> None:
    step = np.zeros((1, 12, 12), np.float32)
    step[:, :, 6:] = 1
    step[:, :, 5] = 0.5
    thin = made(Canny(sigma=0.5), step)[0, ..., 0]
    assert (thin > 0).sum(1).tolist() == [1] * 12
    assert (thin.argmax(1) == 5).all()


def test_gabor_energies_are_those_of_convolution() -> None:
    bank = GaborBank(orientations=3, wavelengths=(5.0, 8.0))
    expected = []
    for wavelength in bank.wavelengths:
        sigma, reach = 0.56 * wavelength, 22
        y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        envelope = np.exp(-(x**2 + y**2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)
        for angle in (0, np.pi / 3, 2 * np.pi / 3):
            carrier = np.exp(2j * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / wavelength)
            kernel = 2 * (envelope * carrier - envelope * (envelope * carrier).sum() / envelope.sum())
            expected.append(40 * np.abs(each(ndimage.convolve, kernel, mode="nearest", output=complex)))
    np.testing.assert_allclose(made(bank), np.stack(expected, -1), atol=2e-3)  # the larger are about 5


def test_gabor_answers_its_grating_and_not_uniform_luma() -> None:
    columns = np.arange(64, dtype=np.float32)
    grating = 0.5 + 0.1 * np.cos(2 * np.pi * columns / 8 + 1)[None, None] * np.ones((1, 64, 1), np.float32)
    energies = made(GaborBank(), grating)[0, 32, 32]
    assert energies.argmax() == 4, "the second wavelength's first orientation"
    assert energies.max() == pytest.approx(40 * 0.1, rel=0.01)
    assert np.abs(made(GaborBank(), np.full((1, 20, 20), 0.7, np.float32))).max() < 1e-4


def test_fourier_magnitude_is_numpys() -> None:
    centred = LUMA - LUMA.mean((1, 2), keepdims=True)
    spectrum = np.fft.fftshift(np.abs(np.fft.fft2(centred, norm="ortho")), axes=(1, 2))
    np.testing.assert_allclose(made(FourierMagnitude())[..., 0], np.log1p(50 * spectrum), atol=1e-3)


def test_haar_by_hand() -> None:
    image = np.float32([[[1, 2, 0], [3, 8, 0]]])  # the third column stands beside itself
    maps = made(Wavelet(), image)[0]
    a, b, c, d = 1, 2, 3, 8
    across, down, diagonal = ((a - b + c - d) / 4, (a + b - c - d) / 4, (a - b - c + d) / 4)
    for pixel in maps[:, :2].reshape(4, 4):
        np.testing.assert_allclose(
            pixel, [25 * across, 25 * down, 25 * diagonal, 4 * (14 / 4 - 0.449)], rtol=1e-6
        )
    np.testing.assert_allclose(maps[:, 2], [[0, 0, 0, 4 * -0.449]] * 2, rtol=1e-6)


@pytest.mark.parametrize("wavelet", ["haar", "db2"])
def test_wavelets_are_those_of_pywavelets(wavelet: str) -> None:
    """Two levels; db2's transform there begins one coefficient earlier in each low pass, and ends later."""
    image = LUMA[0, :20, :28]
    average, offset = image.astype(np.float64), int(wavelet == "db2")
    maps = made(Wavelet(level=2, wavelet=wavelet), image[None])[0]
    for level in (1, 2):
        rows, columns = (size // 2**level for size in image.shape)
        average, (down, across, diagonal) = pywt.dwt2(average, wavelet, mode="constant")

        def cut(values: np.ndarray, low_rows: bool, low_columns: bool, r=rows, c=columns, level=level):
            top, left = (offset if low else 0 for low in (low_rows, low_columns))
            return values[top : top + r, left : left + c] / 2**level

        average = cut(average, True, True, level=0)
        found = maps[:: 2**level, :: 2**level]
        for place, values in enumerate(
            (cut(across, True, False), cut(down, False, True), cut(diagonal, False, False))
        ):
            np.testing.assert_allclose(found[..., 3 * (level - 1) + place], 25 * values, atol=1e-5)
    np.testing.assert_allclose(found[..., 6], 4 * (average / 4 - 0.449), atol=1e-5)


@pytest.mark.slow  # every channel, compiled twice
def test_channels_come_in_turn_from_the_luma_of_colours() -> None:
    colours = RNG.random((2, 8, 9, 3)).astype(np.float32)
    luma = colours @ np.float32([0.299, 0.587, 0.114])
    found = compute_channels(jnp.asarray(colours), ALL)
    assert found.shape == (2, 8, 9, count_channels(ALL)) == (2, 8, 9, 1 + 2 + 1 + 1 + 8 + 1 + 7)
    np.testing.assert_allclose(found[..., 0], (luma - 0.449) / 0.226, rtol=1e-4, atol=1e-5)
    grey = compute_channels(jnp.asarray(luma)[..., None], ALL)
    np.testing.assert_allclose(grey, found, atol=1e-4)
    assert np.isfinite(np.asarray(compute_channels(jnp.zeros((2, 8, 9, 3)), ALL))).all()


# -- what the network sees ----------------------------------------------------------------------------------------


def inputs(**parts) -> Preprocess:
    fields = {"augmentations": (), "mix": None, "channels": (), "masks": 0, "normalize": Normalize()}
    return Preprocess(**{**fields, **parts})


def test_colours_then_masks_then_channels() -> None:
    images = RNG.integers(0, 256, (2, 8, 8, 5), dtype=np.uint8)
    found = np.asarray(inputs(masks=2, channels=(Sobel(),))(images, None))
    np.testing.assert_allclose(found[..., :3], Normalize()(images[..., :3]), rtol=1e-6)
    np.testing.assert_allclose(found[..., 3:5], images[..., 3:] / 255, rtol=1e-6)
    np.testing.assert_allclose(
        found[..., 5:], compute_channels(images[..., :3] / np.float32(255), (Sobel(),)), atol=1e-5
    )
    np.testing.assert_array_equal(inputs()(images[..., :3], None), Normalize()(images[..., :3]))


def test_masks_move_with_the_image_and_are_not_blurred() -> None:
    keys = jax.random.split(jax.random.key(0), 16)
    mask = (RNG.random((8, 8)) > 0.5).astype(np.uint8) * 255
    image = np.stack([mask, mask, mask, mask], axis=-1)
    still = inputs(augmentations=(Blur(sigma=3.0), BoxBlur(), Brightness(delta=0.9)), masks=1)
    found = np.asarray(still(np.repeat(image[None], 16, 0), keys))
    np.testing.assert_array_equal(found[..., 3], np.repeat(mask[None] / np.float32(255), 16, 0))
    assert np.abs(found[..., 0] - found[0, ..., 0]).max() > 0.5
    moved = np.asarray(
        inputs(augmentations=(Flip(vertical=True),), masks=1)(np.repeat(image[None], 16, 0), keys)
    )
    np.testing.assert_array_equal(moved[..., 3] > 0.5, moved[..., 0] > 0)
    assert len({row.tobytes() for row in moved[..., 3]}) == 4


def test_channels_are_computed_from_the_augmented_image() -> None:
    keys = jax.random.split(jax.random.key(0), 4)
    images = RNG.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    bright = inputs(augmentations=(Brightness(delta=0.5),), channels=(Sobel(),))(images, keys)
    plain = inputs(channels=(Sobel(),))(images, None)
    factors = np.asarray(bright[..., 3] / plain[..., 3])
    np.testing.assert_allclose(factors, np.broadcast_to(factors[:, :1, :1], factors.shape), rtol=1e-3)
    assert len(np.unique(factors[:, 0, 0])) == 4


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Canny(sigma=0.0), r"Canny\.sigma: expected above 0, found 0"),
        (lambda: GaborBank(orientations=0), r"GaborBank\.orientations: expected 1 or more"),
        (lambda: GaborBank(wavelengths=(4.0, 1.0)), r"at least 2 pixels, found \(4.0, 1.0\)"),
        (lambda: GaborBank(wavelengths=()), "expected one or more"),
        (lambda: Wavelet(level=0), r"Wavelet\.level: expected 1 or more"),
        (lambda: Wavelet(level=5)(jnp.asarray(LUMA)), "5 needs images of at least 32 pixels, found 23 x 30"),
    ],
)
def test_impossible_channels_are_refused(make, words: str) -> None:
    with pytest.raises(UserError, match=words):
        make()
