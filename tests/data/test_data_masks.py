"""Masks beside images: read by id, resized to the nearest pixel, one channel a class; each fault named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxlab.core.types import UserError
from jaxlab.data.images import Images, decode, decode_splits
from jaxlab.data.source import Opened, fingerprint
from jaxlab.data.sources.arrays import Arrays
from jaxlab.data.sources.folders import ImageFolders
from jaxlab.data.sources.masks import WithMasks
from jaxlab.data.sources.mnist import Mnist

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (3, 6, 8, 3), dtype=np.uint8)
MASKS = RNG.integers(0, 3, (5, 6, 8), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """arrays.npz with three training and two test images, and masks/ with theirs."""
    np.savez(
        tmp_path / "arrays.npz", images=IMAGES, targets=np.zeros((3, 1)), test_images=IMAGES[:2],
        ids=["a", "b", "c"], test_ids=["x", "y"],
    )  # fmt: skip
    (tmp_path / "masks").mkdir()
    for name, mask in zip("abcxy", MASKS, strict=True):
        Image.fromarray(mask).save(tmp_path / "masks" / f"{name}.png")
    return tmp_path


def source(folder: Path, **fields) -> WithMasks:
    fields = {"classes": 3, **fields}
    return WithMasks(source=Arrays(root=str(folder / "arrays.npz")), masks=str(folder / "masks"), **fields)


def test_each_class_is_a_channel_behind_the_colours(folder: Path) -> None:
    opened = source(folder).open()
    assert (opened.train.masks, opened.test.masks) == (3, 3)
    images = decode(opened.train, np.arange(3), Images())
    assert (images.shape, images.dtype) == ((3, 6, 8, 6), np.uint8)
    np.testing.assert_array_equal(images[..., :3], IMAGES)
    for value in range(3):
        np.testing.assert_array_equal(images[..., 3 + value], (MASKS[:3] == value) * 255)
    test, _ = source(folder).open_test()
    np.testing.assert_array_equal(test.read(1)[..., 3], (MASKS[4] == 0) * 255)


def test_grey_levels_are_one_channel_and_follow_grey_images(folder: Path) -> None:
    opened = source(folder, classes=None).open()
    images = decode(opened.train, np.arange(3), Images(channels=1))
    assert images.shape == (3, 6, 8, 2)
    np.testing.assert_array_equal(images[..., 1], MASKS[:3])


def test_float_images_get_masks_from_0_to_1(folder: Path) -> None:
    np.savez(
        folder / "arrays.npz", images=IMAGES.astype(np.float32) - 100, labels=[0, 1, 1], ids=["a", "b", "c"]
    )
    read = source(folder).open().train.read(0)
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read[..., 3:], np.eye(3)[MASKS[0]])


def test_masks_are_resized_to_the_nearest_pixel_as_the_image_is(folder: Path) -> None:
    samples = source(folder).open().train
    for images in (
        Images(size=(3, 4)), Images(size=(12, 12), policy="crop"), Images(size=(9, 9), policy="pad", filter="bilinear")
    ):  # fmt: skip
        masks = decode(samples, np.arange(3), images)[..., 3:]
        assert set(np.unique(masks)) == {0, 255}
    doubled = decode(samples, np.arange(3), Images(size=(12, 16)))[..., 3:]
    np.testing.assert_array_equal(doubled, np.kron(np.eye(3)[MASKS[:3]] * 255, np.ones((1, 2, 2, 1))))
    padded = decode(samples, np.arange(3), Images(size=(8, 8), policy="pad"))
    assert (padded[:, 0, :, 3:] == 0).all()
    assert (padded[:, 0, :, :3] == 128).all()
    np.testing.assert_array_equal(padded[:, 1:7, :, 3:], np.eye(3)[MASKS[:3]] * 255)


def test_a_mask_of_another_size_is_stretched_and_palettes_are_numbers(folder: Path) -> None:
    small = Image.fromarray(np.array([[0, 1, 2, 1], [2, 2, 0, 1], [0, 0, 0, 1]], np.uint8), mode="P")
    small.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    small.save(folder / "masks/a.png")
    read = source(folder).open().train.read(0)
    np.testing.assert_array_equal(read[..., 3], np.kron(np.array(small) == 0, np.ones((2, 2))) * 255)


def test_another_mask_is_other_data(folder: Path) -> None:
    before = fingerprint(source(folder).open())
    assert before == fingerprint(source(folder).open())
    assert before != fingerprint(source(folder, classes=4).open())
    Image.fromarray(MASKS[1]).save(folder / "masks/a.png")
    assert before != fingerprint(source(folder).open())


def test_every_missing_mask_is_named_before_anything_is_read(folder: Path) -> None:
    for name in ("b", "y"):
        (folder / f"masks/{name}.png").unlink()
    with pytest.raises(UserError, match=r"for 1 of 3 ids \(b\); it holds 3 images .*for 1 of 2 ids \(y\)"):
        source(folder).open()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (Image.new("RGB", (8, 6)), r"a\.png: expected a mask of 8-bit grey levels or a palette, found RGB"),
        (Image.new("L", (8, 8)), r"a\.png: the mask is 8 x 8, the image 6 x 8"),
        (
            Image.new("L", (8, 6), 255),
            r"a\.png: expected class numbers 0 to 2, found \[255\]; for a mask of grey",
        ),
        (None, r"a\.png: cannot be decoded \(not an image\)"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(folder: Path, spoil, words: str) -> None:
    path = folder / "masks/a.png"
    path.write_bytes(b"no image") if spoil is None else spoil.save(path)
    with pytest.raises(UserError, match=words):
        decode(source(folder).open().train, np.arange(3), Images())


def test_samples_that_share_an_image_have_their_own_masks(folder: Path) -> None:
    class OneImage(Arrays):
        def open(self) -> Opened:
            opened = super().open()
            return replace(opened, train=replace(opened.train, image_of=np.zeros(3, int)), test=None)

    shared = WithMasks(
        source=OneImage(root=str(folder / "arrays.npz")), masks=str(folder / "masks"), classes=3
    )
    (images,) = decode_splits(shared.open().train, [np.arange(3)], Images())
    np.testing.assert_array_equal(images[np.arange(3)][..., 3:], np.eye(3)[MASKS[:3]] * 255)


def test_ids_that_are_paths_lead_into_folders_of_masks(tmp_path: Path) -> None:
    """Those of ImageFolders are paths with a suffix, of which a mask has another."""
    for place, name in enumerate(("train/cat/1", "train/dog/1", "test/9")):
        mask = name.removeprefix("test/")  # as ids of test images have it
        for file, pixels in ((f"data/{name}.bmp", IMAGES), (f"masks/{mask}.png", MASKS)):
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[place]).save(tmp_path / file)
    opened = WithMasks(
        source=ImageFolders(root=str(tmp_path / "data")), masks=str(tmp_path / "masks"), classes=3
    ).open()
    assert opened.train.ids.tolist() == ["train/cat/1.bmp", "train/dog/1.bmp"]
    for place, read in enumerate([opened.train.read(0), opened.train.read(1), opened.test.read(0)]):
        np.testing.assert_array_equal(read[..., :3], IMAGES[place])
        np.testing.assert_array_equal(read[..., 3:], np.eye(3)[MASKS[place]] * 255)


def test_what_a_mirror_changes_stays_so_with_masks() -> None:
    assert WithMasks(source=Mnist()).mirrors == frozenset()
    assert WithMasks().mirrors == {"horizontal", "vertical"}


def test_settings_that_cannot_be(folder: Path) -> None:
    with pytest.raises(UserError, match=r"WithMasks\.classes: expected 2 to 256, found 1"):
        WithMasks(classes=1)
    with pytest.raises(UserError, match=r"data\.masks is not set"):
        WithMasks(source=Arrays(root=str(folder / "arrays.npz"))).open()
    with pytest.raises(UserError, match=r"data\.masks: expected a folder, found nothing"):
        WithMasks(source=Arrays(root=str(folder / "arrays.npz")), masks=str(folder / "none")).open()
