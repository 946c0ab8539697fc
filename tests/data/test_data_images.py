"""Decoding and resizing against hand-made files and Pillow; every bad file named; the cache on disk."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxlab.core.types import Samples, StoredLevels, UserError
from jaxlab.data.images import Images, SharedImages, decode, decode_splits, stream
from jaxlab.data.readers.image_files import file_samples, read_image
from jaxlab.data.resizing import resize
from jaxlab.data.source import Opened, checksums, fingerprint

RNG = np.random.default_rng(0)


def of_arrays(images: list[np.ndarray]) -> Samples:
    return Samples(
        ids=np.array([f"i{k}" for k in range(len(images))]),
        read=lambda k: images[k],
        checksum=lambda k: images[k].tobytes(),
    )


def saved(folder: Path, image: Image.Image, name: str = "image.png", **options) -> Path:
    image.save(folder / name, **options)
    return folder / name


# -- one file --------------------------------------------------------------------------------------------------


def test_grey_palette_and_two_level_files(tmp_path: Path) -> None:
    grey = RNG.integers(0, 255, (5, 4), dtype=np.uint8)
    np.testing.assert_array_equal(read_image(saved(tmp_path, Image.fromarray(grey)))[..., 0], grey)
    two = Image.fromarray(grey > 100)
    np.testing.assert_array_equal(read_image(saved(tmp_path, two))[..., 0], (grey > 100) * np.uint8(255))
    indexed = Image.fromarray(np.array([[0, 1]], np.uint8), mode="P")
    indexed.putpalette([10, 20, 30, 200, 100, 0])
    np.testing.assert_array_equal(read_image(saved(tmp_path, indexed)), [[[10, 20, 30], [200, 100, 0]]])


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    levels = np.array([[0, 257, 128 * 257, 65535]], np.uint16)
    np.testing.assert_array_equal(
        read_image(saved(tmp_path, Image.fromarray(levels)))[..., 0], [[0, 1, 128, 255]]
    )


def test_transparency_shows_mid_grey(tmp_path: Path) -> None:
    pixels = np.array([[[250, 0, 0, 0], [250, 0, 0, 255]]], np.uint8)
    np.testing.assert_array_equal(
        read_image(saved(tmp_path, Image.fromarray(pixels))), [[[128, 128, 128], [250, 0, 0]]]
    )


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    image = Image.new("CMYK", (2, 2), (0, 255, 255, 0))
    read = read_image(saved(tmp_path, image, "image.tif"))
    np.testing.assert_array_equal(read, np.broadcast_to([255, 0, 0], (2, 2, 3)))


def test_exif_orientation_is_honoured(tmp_path: Path) -> None:
    """Orientation 6: the stored first row is the right-hand column."""
    pixels = RNG.integers(0, 255, (2, 3, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[274] = 6
    path = saved(tmp_path, Image.fromarray(pixels), exif=exif)
    np.testing.assert_array_equal(read_image(path), np.rot90(pixels, -1))


def test_float_tiff_stays_float(tmp_path: Path) -> None:
    values = RNG.normal(size=(3, 4)).astype(np.float32)
    read = read_image(saved(tmp_path, Image.fromarray(values), "image.tif"))
    np.testing.assert_array_equal(read[..., 0], values)


@pytest.mark.parametrize("name", ["image.png", "image.jpg", "image.bmp", "image.tif"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.9])
def test_truncated_files_are_refused(tmp_path: Path, name: str, kept: float) -> None:
    noise = Image.fromarray(RNG.integers(0, 255, (64, 64, 3), dtype=np.uint8))
    path = saved(tmp_path, noise, name)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(UserError, match=rf"{name}: cannot be decoded"):
        read_image(path)


# -- resizing --------------------------------------------------------------------------------------------------


def test_area_averages_blocks() -> None:
    image = RNG.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    expected = image.reshape(2, 3, 2, 4, 3).mean((1, 3))
    np.testing.assert_allclose(resize(image, (2, 2), "stretch", "area"), expected, atol=1)  # rounded twice


@pytest.mark.parametrize(("name", "pillow"), [("bilinear", 2), ("bicubic", 3), ("area", 4)])
def test_filters_are_pillows(name: str, pillow: int) -> None:
    image = RNG.integers(0, 255, (11, 9, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(image).resize((5, 7), Image.Resampling(pillow)))
    np.testing.assert_array_equal(resize(image, (7, 5), "stretch", name), expected)
    grey = image[..., :1]
    np.testing.assert_array_equal(resize(grey, (7, 5), "stretch", name)[..., 0], expected[..., 0])


def test_crop_takes_the_centre() -> None:
    image = RNG.integers(0, 255, (4, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(
        resize(image, (2, 2), "crop", "area"), resize(image[:, 2:6], (2, 2), "stretch", "area")
    )
    np.testing.assert_array_equal(resize(image, (4, 4), "crop", "area"), image[:, 2:6])


def test_crop_of_a_side_that_rounding_enlarges() -> None:
    """In float64 20 / 147 * 147 is more than 20: Pillow refuses a box that begins before the image."""
    image = RNG.integers(0, 255, (20, 30, 3), dtype=np.uint8)
    assert 20 / 147 * 147 > 20
    np.testing.assert_array_equal(
        resize(image, (147, 147), "crop", "area"), resize(image[:, 5:25], (147, 147), "stretch", "area")
    )


def test_crop_keeps_the_centre_that_crop_fraction_says() -> None:
    """As torchvision's Resize(size / fraction) and CenterCrop(size) where both fall on whole pixels."""
    photo = RNG.integers(0, 256, (16, 24, 3), dtype=np.uint8)
    centre = photo[2:14, 6:18]
    np.testing.assert_array_equal(resize(photo, (12, 12), "crop", "bicubic", 0.75), centre)
    half = resize(photo, (6, 6), "crop", "area", 0.75)
    np.testing.assert_allclose(half, centre.reshape(6, 2, 6, 2, 3).mean((1, 3)), atol=1.0)  # rounded twice


def test_pad_keeps_the_whole_image_on_grey() -> None:
    image = RNG.integers(0, 255, (4, 8, 3), dtype=np.uint8)
    padded = resize(image, (8, 8), "pad", "area")
    np.testing.assert_array_equal(padded[2:6], image)
    assert (padded[:2] == 128).all()
    assert (padded[6:] == 128).all()


def test_floats_keep_their_values() -> None:
    image = (RNG.normal(size=(4, 6, 3)) * 1e3).astype(np.float32)
    np.testing.assert_allclose(
        resize(image, (2, 3), "stretch", "area"), image.reshape(2, 2, 3, 2, 3).mean((1, 3)), rtol=1e-5
    )
    assert decode(of_arrays([image]), np.arange(1), Images()).dtype == np.float32


def test_channels() -> None:
    grey = RNG.integers(0, 255, (3, 3, 1), dtype=np.uint8)
    colour = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    three = decode(of_arrays([grey]), np.arange(1), Images(channels=3))
    np.testing.assert_array_equal(three[0], np.repeat(grey, 3, axis=2))
    one = decode(of_arrays([colour]), np.arange(1), Images(channels=1))
    np.testing.assert_array_equal(one[0, 0, :, 0], [76, 150, 29])  # 255 * (0.299, 0.587, 0.114)


# -- many files ------------------------------------------------------------------------------------------------


def test_positions_are_kept_in_order() -> None:
    images = [np.full((2, 2, 3), k, np.uint8) for k in range(10)]
    decoded = decode(of_arrays(images), np.array([7, 2, 5]), Images())
    assert decoded[:, 0, 0, 0].tolist() == [7, 2, 5]
    assert decoded.shape == (3, 2, 2, 3)


def test_every_bad_file_is_named_at_once(tmp_path: Path) -> None:
    good = saved(tmp_path, Image.new("RGB", (4, 4)), "good.png")
    text = tmp_path / "text.png"
    text.write_text("not an image")
    cut = tmp_path / "cut.png"
    cut.write_bytes(good.read_bytes()[:-30])
    gone = tmp_path / "gone.png"
    files = [good, text, good, cut, gone]
    with pytest.raises(UserError) as error:
        decode(file_samples(np.array(list("abcde")), files), np.arange(5), Images(size=(4, 4)))
    for words in ("3 of 5", "text.png: cannot be decoded (not an image)", "cut.png", "gone.png"):
        assert words in str(error.value)


def test_images_of_other_sizes_need_a_size() -> None:
    images = [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8)]
    with pytest.raises(UserError, match=r"i1: is \(4, 5\).*\(4, 4\); set images.size"):
        decode(of_arrays(images), np.arange(2), Images())
    assert decode(of_arrays(images), np.arange(2), Images(size=(3, 3))).shape == (2, 3, 3, 3)


def test_batch_by_batch_a_size_is_needed() -> None:
    with pytest.raises(UserError, match=r"Images\.size: .*expected \(height, width\), found None"):
        next(stream(of_arrays([np.zeros((4, 4, 3), np.uint8)]), np.arange(1), Images(), 8))


def test_mixed_dtypes_are_refused() -> None:
    images = [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.float32)]
    with pytest.raises(UserError, match=r"i1: expected .* uint8, found .* float32"):
        decode(of_arrays(images), np.arange(2), Images())


# -- images that several samples show --------------------------------------------------------------------------

SHOWN = np.array([30, 7, 30, 7, 7, 12])  # the number of the image of each of six samples


def shared_and_plain() -> tuple[Samples, Samples, list[int]]:
    """The same six samples, their sharing known or not; and which positions of the first were read."""
    reads: list[int] = []
    made = {number: RNG.integers(0, 255, (4, 4, 3), dtype=np.uint8) for number in np.unique(SHOWN)}
    plain = of_arrays([made[number] for number in SHOWN])

    def read(k: int) -> np.ndarray:
        reads.append(k)
        return plain.read(k)

    def checksum(k: int) -> bytes:
        reads.append(k)
        return plain.checksum(k)

    return Samples(ids=plain.ids, read=read, checksum=checksum, image_of=SHOWN), plain, reads


def test_shared_images_are_decoded_once_within_and_across_splits() -> None:
    shared, plain, reads = shared_and_plain()
    splits = [np.array([0, 1, 4, 2]), np.array([3, 5])]
    found = decode_splits(shared, splits, Images(size=(4, 4)))
    assert sorted(SHOWN[reads[1:]]) == [7, 12, 30], "the first is read for its dtype too"
    for one, other in zip(found, decode_splits(plain, splits, Images(size=(4, 4))), strict=True):
        assert isinstance(one, SharedImages)
        assert len(one) == len(other)
        every = np.arange(len(one))
        np.testing.assert_array_equal(one[every], other[every])
    assert found[0].images is found[1].images
    assert found[0].images.shape == (3, 4, 4, 3)


def test_images_of_their_own_are_parts_of_one_array() -> None:
    _, plain, _ = shared_and_plain()
    learn, validate = decode_splits(plain, [np.array([0, 2, 5]), np.array([1, 3])], Images())
    assert learn.images is validate.images
    assert len(learn.images) == 5
    for part, positions in ((learn, [0, 2, 5]), (validate, [1, 3])):
        for row, position in enumerate(positions):
            np.testing.assert_array_equal(part[row], plain.read(position))


def test_every_division_into_splits_finds_the_same_images_on_disk(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("JAXLAB_CACHE", str(tmp_path))
    _, plain, _ = shared_and_plain()
    for fold in (np.array([0, 3]), np.array([1, 2])):
        others = np.setdiff1d(np.arange(6), fold)
        _, validate = decode_splits(plain, [others, fold], Images(memory_budget_gb=0.0))
        np.testing.assert_array_equal(validate[1], plain.read(int(fold[1])))
    assert len(list(tmp_path.glob("images-*.npy"))) == 1


def test_shared_images_are_read_once_for_a_checksum_that_sharing_does_not_change() -> None:
    shared, plain, reads = shared_and_plain()
    positions = np.array([5, 4, 3, 2, 0])
    assert checksums(shared, positions) == checksums(plain, positions)
    assert len(reads) == 3
    prints = [fingerprint(Opened(s, None, "regression", ("t",))) for s in (shared, plain)]
    assert prints[0] == prints[1]


# -- the cache on disk -----------------------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JAXLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_beyond_the_budget_images_lie_on_disk(cache: Path) -> None:
    images = [RNG.integers(0, 255, (8, 8, 3), dtype=np.uint8) for _ in range(6)]
    small = Images(size=(4, 4), memory_budget_gb=0.0)
    mapped = decode(of_arrays(images), np.arange(6), small)
    assert isinstance(mapped, np.memmap)
    np.testing.assert_array_equal(mapped, decode(of_arrays(images), np.arange(6), Images(size=(4, 4))))
    assert len(list(cache.iterdir())) == 1


def test_the_cache_is_read_again_and_keyed_by_data_and_recipe(cache: Path) -> None:
    reads: list[int] = []
    images = [RNG.integers(0, 255, (8, 8, 3), dtype=np.uint8) for _ in range(6)]
    plain = of_arrays(images)

    def counted(k: int) -> np.ndarray:
        reads.append(k)
        return plain.read(k)

    samples = Samples(ids=plain.ids, read=counted, checksum=plain.checksum)
    decode(samples, np.arange(6), Images(memory_budget_gb=0.0))
    reads.clear()
    decode(samples, np.arange(6), Images(memory_budget_gb=0.0))
    assert len(reads) == 1  # the first image, for its size and dtype
    decode(samples, np.arange(5), Images(memory_budget_gb=0.0))
    decode(samples, np.arange(6), Images(size=(4, 4), memory_budget_gb=0.0))
    decode(samples, np.arange(6), Images(size=(4, 4), filter="bicubic", memory_budget_gb=0.0))
    images[3] = images[3] + np.uint8(1)
    decode(samples, np.arange(6), Images(memory_budget_gb=0.0))
    assert len(list(cache.iterdir())) == 5


CHANGES = {
    "size": (5, 4), "policy": "pad", "filter": "bicubic", "crop_fraction": 0.5, "channels": 1,
    "levels": 1023, "crop_from": "resized", "resizing": "fast",
}  # fmt: skip


def test_each_field_that_changes_pixels_has_images_of_its_own_on_disk(cache: Path) -> None:
    """Of 10 bits, 7 by 9, cut at the centre: what was kept at other levels, or cut otherwise, is not taken for it."""
    pytest.importorskip("cykooz_resizer", reason="the extra `fast` is not installed")
    assert {field.name for field in fields(Images)} - {"memory_budget_gb"} == CHANGES.keys()
    stored = RNG.integers(0, 1024, (6, 7, 9, 3)).astype(np.int32)
    samples = Samples(
        ids=np.array([f"i{k}" for k in range(6)]),
        read=lambda k: (stored[k] / 257).round().astype(np.uint8),
        checksum=lambda k: stored[k].tobytes(),
        deep=lambda k: StoredLevels(stored[k]),
    )
    whole = Images(size=(4, 4), policy="crop")
    for recipe in (whole, *(replace(whole, **{name: value}) for name, value in CHANGES.items())):
        kept = decode(samples, np.arange(6), replace(recipe, memory_budget_gb=0.0))
        np.testing.assert_array_equal(kept, decode(samples, np.arange(6), recipe))
    assert len(list(cache.iterdir())) == 1 + len(CHANGES)
