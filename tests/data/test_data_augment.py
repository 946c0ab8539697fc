"""Augmentations against hand-made results and scipy; the same however a batch is split."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import map_coordinates, uniform_filter

from jaxlab.core.types import UserError
from jaxlab.data.device.augment import (
    Augmentation,
    Blur,
    BoxBlur,
    Brightness,
    Crop,
    Cutout,
    Flip,
    Normalize,
    Shift,
    augment,
    intensities,
)

RNG = np.random.default_rng(0)
IMAGE = RNG.random((7, 9, 3)).astype(np.float32)
KEYS = jax.random.split(jax.random.key(1), 64)
ALL = (Flip(vertical=True), Crop(pixels=3), Shift(pixels=2), Blur(), Brightness(), Cutout(size=3))


def many(change: Augmentation, image: np.ndarray = IMAGE) -> np.ndarray:
    """(64, h, w, c): the same image under 64 keys."""
    return np.asarray(jax.jit(jax.vmap(change, (None, 0)))(jnp.asarray(image), KEYS))


def counts(results: np.ndarray, candidates: list[np.ndarray]) -> list[int]:
    """How many results equal each candidate. Every result must equal one."""
    same = np.stack([np.isclose(results, c, atol=1e-6).all((1, 2, 3)) for c in candidates])
    assert (same.sum(0) == 1).all()
    return same.sum(1).tolist()


def test_flip_mirrors_half_of_the_images() -> None:
    assert min(counts(many(Flip()), [IMAGE, IMAGE[:, ::-1]])) > 16
    both = [IMAGE, IMAGE[:, ::-1], IMAGE[::-1], IMAGE[::-1, ::-1]]
    assert min(counts(many(Flip(vertical=True)), both)) > 4
    assert counts(many(Flip(horizontal=False)), [IMAGE]) == [64]


def test_shift_moves_whole_pixels_and_repeats_the_edge() -> None:
    def moved(down: int, across: int) -> np.ndarray:
        padded = np.pad(IMAGE, ((1, 1), (1, 1), (0, 0)), mode="edge")
        return padded[1 - down : 8 - down, 1 - across : 10 - across]

    shifts = [moved(down, across) for down in (-1, 0, 1) for across in (-1, 0, 1)]
    np.testing.assert_array_equal(shifts[4], IMAGE)
    assert min(counts(many(Shift(pixels=1)), shifts)) > 0


def test_crop_enlarges_a_window_bilinearly() -> None:
    """Each channel of a ramp image tells where its pixels came from; scipy then makes the same window."""
    rows, columns = np.meshgrid(np.arange(7.0), np.arange(9.0), indexing="ij")
    ramp = np.stack([rows, columns, RNG.random((7, 9))], axis=-1).astype(np.float32)
    results = many(Crop(pixels=3), ramp)
    for result in results:
        np.testing.assert_allclose(
            result[..., 2],
            map_coordinates(ramp[..., 2], [result[..., 0], result[..., 1]], order=1),
            atol=1e-4,
        )
    inner = results[:, 1:-1, 1:-1]  # away from the edge, where coordinates are clipped
    scale = np.diff(inner[..., 0], axis=1).mean((1, 2))
    np.testing.assert_allclose(scale, np.diff(inner[..., 1], axis=2).mean((1, 2)), atol=1e-5)
    assert 4 / 7 - 1e-5 < scale.min() < 0.7
    assert 0.9 < scale.max() <= 1 + 1e-5
    assert results[:, 0, 0, 0].min() < 0.5
    assert results[:, -1, 0, 0].max() > 5.5


def test_blur_is_a_separable_gaussian_of_bounded_width() -> None:
    point = np.zeros((41, 41, 1), np.float32)
    point[20, 20] = 1
    results = many(Blur(sigma=2.0), point)[..., 0]
    np.testing.assert_allclose(results.sum((1, 2)), 1, rtol=1e-4)
    distance = np.arange(41) - 20
    variance = [(results.sum(axis) * distance**2).sum(1) for axis in (1, 2)]
    np.testing.assert_allclose(*variance, rtol=1e-3, atol=1e-5)
    sigma = np.sqrt(variance[0])
    assert sigma.min() < 0.5
    assert 1.7 < sigma.max() <= 2.01
    widest = np.exp(-0.5 * (distance / sigma.max()) ** 2)
    np.testing.assert_allclose(
        results[sigma.argmax()], np.outer(widest, widest) / widest.sum() ** 2, rtol=1e-2, atol=1e-6
    )
    np.testing.assert_allclose(many(Blur(), np.ones((5, 5, 3), np.float32)), 1, rtol=1e-6)


def test_box_blur_is_the_mean_over_a_square() -> None:
    results = many(BoxBlur(radius=2))
    inside = [uniform_filter(IMAGE, (2 * r + 1, 2 * r + 1, 1), mode="constant") for r in range(3)]
    share = [
        uniform_filter(np.ones_like(IMAGE), (2 * r + 1, 2 * r + 1, 1), mode="constant") for r in range(3)
    ]
    candidates = [mean / of for mean, of in zip(inside, share, strict=True)]
    assert min(counts(results, candidates)) > 10


def test_brightness_scales_uniformly() -> None:
    factors = many(Brightness(delta=0.5)) / IMAGE
    np.testing.assert_allclose(factors, np.broadcast_to(factors[:, :1, :1, :1], factors.shape), rtol=1e-5)
    assert 0.5 <= factors.min() < 0.6
    assert 1.4 < factors.max() <= 1.5


def test_cutout_replaces_one_square_by_the_mean() -> None:
    results = many(Cutout(size=3))
    changed = (results != IMAGE).all(-1)
    assert changed.sum((1, 2)).max() == 9
    assert changed.any(0).all()  # every place is hit by some key
    for result, where in zip(results, changed, strict=True):
        rows, columns = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
        assert len(rows) <= 3
        assert len(columns) <= 3
        assert where.sum() == len(rows) * len(columns)
        np.testing.assert_allclose(
            result[where], np.broadcast_to(IMAGE.mean((0, 1)), (where.sum(), 3)), rtol=1e-5
        )
        np.testing.assert_array_equal(result[~where], IMAGE[~where])


@pytest.mark.slow  # six augmentations, compiled for two batch sizes
def test_a_row_does_not_depend_on_how_the_batch_is_split() -> None:
    images = RNG.integers(0, 256, (8, 7, 9, 3), dtype=np.uint8)
    apply = jax.jit(lambda images, keys: augment(images, keys, ALL))
    whole = apply(images, KEYS[:8])
    halves = [apply(images[k : k + 4], KEYS[k : k + 4]) for k in (0, 4)]
    np.testing.assert_allclose(whole, np.concatenate(halves), atol=1e-6)


def test_rows_and_repeated_augmentations_draw_independently() -> None:
    images = np.repeat(IMAGE[None], 8, axis=0)
    twice = np.asarray(augment(images, KEYS[:8], (Brightness(delta=0.5), Brightness(delta=0.5))))
    once = np.asarray(augment(images, KEYS[:8], (Brightness(delta=0.5),)))
    first, second = (once / IMAGE)[:, 0, 0, 0], (twice / once)[:, 0, 0, 0]
    assert len(np.unique(first)) == 8
    assert not np.isclose(first, second).any()


def test_augment_scales_bytes_and_leaves_floats() -> None:
    images = RNG.integers(0, 256, (2, 3, 3, 3), dtype=np.uint8)
    np.testing.assert_allclose(augment(images, KEYS[:2], ()), images / 255, rtol=1e-6)
    np.testing.assert_array_equal(augment(IMAGE[None] * 50, KEYS[:1], ()), IMAGE[None] * 50)


def test_normalize_by_hand() -> None:
    images = np.array([[[[0, 128, 255]]]], np.uint8)
    normalize = Normalize(mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 2.0))
    expected = [[[[-1, (128 / 255 - 0.25) / 0.25, 0.5]]]]
    np.testing.assert_allclose(normalize(images), expected, rtol=1e-6)
    np.testing.assert_allclose(normalize(intensities(images)), expected, rtol=1e-6)
    grey = np.array([[[[255]]]], np.uint8)
    np.testing.assert_allclose(normalize(grey), [[[[(1 - 0.25) / (2.75 / 3)]]]], rtol=1e-6)


def test_normalize_defaults_to_imagenet() -> None:
    """torchvision's documented constants: mean 0.485, 0.456, 0.406; std 0.229, 0.224, 0.225."""
    image = np.float32([[[[0.485 + 0.229, 0.456, 0.406 - 2 * 0.225]]]])
    np.testing.assert_allclose(Normalize()(image), [[[[1, 0, -2]]]], atol=1e-5)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Shift(pixels=0), "Shift.pixels"),
        (lambda: BoxBlur(radius=0), "BoxBlur.radius"),
        (lambda: Brightness(delta=1.5), "Brightness.delta"),
        (lambda: Normalize(std=(1.0, 0.0, 1.0)), "Normalize.std"),
        (lambda: Crop(pixels=7)(jnp.asarray(IMAGE), KEYS[0]), "7 x 9, found 7"),
        (lambda: Normalize()(np.zeros((1, 2, 2, 4), np.uint8)), r"\(1, 2, 2, 4\)"),
    ],
)
def test_impossible_fields_are_refused(make, words: str) -> None:
    with pytest.raises(UserError, match=words):
        make()
