"""Copies are found whatever was done to them, and unlike images are not; hashes and borders by hand and by scipy."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage, stats

from jaxlab.data.audit import near_duplicates
from jaxlab.data.audit.image_statistics import Border, measure
from jaxlab.data.audit.near_duplicates import look, near_pairs
from jaxlab.data.audit.suspicious_ids import spreadsheet, times
from jaxlab.data.audit.target_statistics import moments
from jaxlab.data.simulation.scenes import make_scenes

SCENES = make_scenes(300, 64, 8, np.random.SeedSequence(0)).images
RNG = np.random.default_rng(0)


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "jpeg", quality=quality)
    return np.asarray(Image.open(buffer))


def pairs_of(images) -> list[tuple[int, int]]:
    looks = [look(np.asarray(Image.fromarray(image).convert("L"))) for image in images]
    found = near_pairs(np.array([one.hash for one in looks]), np.stack([one.picture for one in looks]))
    return list(zip(found.first.tolist(), found.second.tolist(), strict=True))


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image,
        lambda image: jpeg(image, 30),
        lambda image: np.asarray(Image.fromarray(image).resize((40, 40), Image.Resampling.BICUBIC)),
        lambda image: np.clip(image * 0.7 + 20, 0, 255).astype(np.uint8),
        lambda image: ndimage.gaussian_filter(image, (1, 1, 0)),
        lambda image: np.clip(image + RNG.normal(0, 8, image.shape), 0, 255).astype(np.uint8),
    ],
    ids=["copy", "jpeg", "resized", "paler", "blurred", "noisy"],
)
def test_a_changed_copy_looks_the_same(change) -> None:
    originals = list(SCENES[:20])
    expected = [(k, k + 20) for k in range(20)]
    assert sorted(pairs_of([*originals, *map(change, originals)])) == expected


def test_unlike_images_do_not() -> None:
    assert pairs_of(SCENES) == []
    mirrored = [image[:, ::-1] for image in SCENES[:20]]
    assert pairs_of([*SCENES[:20], *mirrored]) == []


def test_images_without_contrast_look_like_none() -> None:
    grey = [np.full((20, 20, 3), value, np.uint8) for value in (0, 0, 90, 90)]
    assert pairs_of(grey) == []
    assert near_pairs(np.empty(0, np.uint64), np.empty((0, 256))).first.size == 0


def test_more_images_than_a_chunk_are_all_compared(monkeypatch) -> None:
    monkeypatch.setattr(near_duplicates, "_CELLS", 40_000)  # 66 of the 605 rows
    monkeypatch.setattr(near_duplicates, "_PAIRS", 2)
    images = [*SCENES, *SCENES[:5][::-1]] + [SCENES[k % 300][::-1] for k in range(300)]
    assert sorted(pairs_of(images)) == [(k, 304 - k) for k in range(5)]


# -- one image -------------------------------------------------------------------------------------------------


def test_sums_extremes_and_shares_by_hand() -> None:
    image = np.array([[[0, 51, 255], [255, 102, 0]]], np.uint8)
    found = measure(image)
    assert (found.size, found.channels, found.dtype) == ((1, 2), 3, "uint8")
    np.testing.assert_allclose(found.sums, [[1, 0.6, 1], [1, 0.2, 1]], rtol=1e-6)
    assert (found.lowest, found.highest) == (0.0, 1.0)
    assert found.dark == pytest.approx(2 / 6)
    assert found.bright == pytest.approx(2 / 6)


def test_floats_are_taken_as_they_are_and_equal_channels_are_grey() -> None:
    grey = np.repeat(RNG.normal(size=(5, 6, 1)).astype(np.float32), 3, axis=2)
    found = measure(grey)
    assert (found.channels, found.dtype, found.dark) == (1, "float32", 0.0)
    assert found.lowest == pytest.approx(grey.min())
    np.testing.assert_allclose(found.sums[:, 0], [grey[..., 0].sum(), (grey[..., 0] ** 2).sum()], rtol=1e-5)
    np.testing.assert_allclose(measure(grey[..., :1]).sums, found.sums, rtol=1e-6)


def test_borders_are_measured_on_each_side() -> None:
    image = RNG.integers(60, 256, (40, 50, 3), dtype=np.uint8)
    assert measure(image).border == Border((0, 0, 0, 0), 0.0)
    padded = np.pad(image, ((3, 7), (0, 2), (0, 0)))
    found = measure(padded).border
    assert found == Border((3, 7, 0, 2), 0.0)
    assert found.share((50, 52)) == 7 / 50
    grey = np.pad(image, ((0, 0), (5, 5), (0, 0)), constant_values=128)
    assert measure(grey).border == Border((0, 0, 5, 5), pytest.approx(128 / 255))
    assert measure(np.full((9, 9, 3), 7, np.uint8)).border is None


# -- targets and ids -------------------------------------------------------------------------------------------


def test_moments_are_scipys(monkeypatch) -> None:
    monkeypatch.setattr("jaxlab.data.audit.target_statistics._CELLS", 800)  # two targets at a time
    target = np.stack([RNG.normal(size=400), RNG.exponential(size=400), np.full(400, 3.0)], axis=1)
    target[0, 0] = 1000
    found = moments(target.astype(np.float32))
    exact = target.astype(np.float32).astype(np.float64)
    np.testing.assert_allclose(found.mean, exact.mean(0), rtol=1e-9)
    np.testing.assert_allclose(found.std, exact.std(0), rtol=1e-9)
    np.testing.assert_allclose(found.skew[:2], stats.skew(exact[:, :2]), rtol=1e-6)
    np.testing.assert_allclose(found.kurtosis[:2], stats.kurtosis(exact[:, :2]), rtol=1e-6)
    assert found.constant.tolist() == [False, False, True]
    assert found.skewed.tolist() == [True, True, False]
    assert found.far.tolist() == [1, 0, 0]
    assert (found.skew[2], found.kurtosis[2]) == (0, 0)


def test_ids_that_are_times_or_were_rewritten() -> None:
    dated = ["20190929_0007", "s1-2021-03-25", "12:30:05", "1691883753", "1691883753.241458"]
    plain = ["img00012", "train-0001_nsd-00013", "0001", "1", "20191399", "4:99", "101234567890"]
    assert times([*dated, *plain]) == dated
    assert spreadsheet(["1-Mar", "Mar-01", "1.2E+05", "img1", "1e5", "mar-1"]) == [
        "1-Mar",
        "Mar-01",
        "1.2E+05",
    ]
