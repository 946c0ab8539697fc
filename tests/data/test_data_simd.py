"""`Images(resizing="fast")`: cykooz-resizer's filters beside Pillow's, which the default is to the last bit.

The kind: a filter of another name or width than Pillow's, a box that is off by a pixel, an image that is not resized
as others are without a word.
"""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from jaxlab.core.types import Samples, UserError
from jaxlab.data import Images, Simulated, decode
from jaxlab.data.images import stream
from jaxlab.data.prepare.prepare import prepare
from jaxlab.data.resizing import FILTERS, resize

RNG = np.random.default_rng(0)
POLICIES = ("stretch", "crop", "pad")
LEVELS = 2  # of 255: both passes are rounded, in another order

# Of `area` where stretched alone: there the test knows which borders lie on a pixel's centre.
WAYS = [("area", "stretch"), *((name, policy) for name in FILTERS if name != "area" for policy in POLICIES)]


def installed() -> None:
    pytest.importorskip("cykooz_resizer", reason="the extra `fast` is not installed")


def smooth(height: int, width: int, channels: int = 3) -> np.ndarray:
    """(height, width, channels) uint8 without sharp edges or extremes, where filters do not overshoot."""
    coarse = RNG.integers(40, 216, (6, 8, 3), dtype=np.uint8)
    large = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(large)[..., :channels]


def untied(long: int, short: int) -> np.ndarray:
    """Whether no pixel's centre lies on either border of a new pixel: of which `area` takes one or the other."""
    borders = np.arange(short + 1) * 2 * long % (2 * short) == short
    return ~(borders[:-1] | borders[1:])


@pytest.mark.parametrize(("name", "policy"), WAYS)
@pytest.mark.parametrize("size", [(24, 24), (17, 40), (90, 130)])
@pytest.mark.parametrize("channels", [1, 3])
def test_levels_from_pillow(channels: int, size: tuple[int, int], policy: str, name: str) -> None:
    installed()
    image = smooth(61, 83, channels)
    exact, fast = (resize(image, size, policy, name, fast=way).astype(int) for way in (False, True))
    assert fast.shape == exact.shape
    if name == "area":
        exact, fast = (part[untied(61, size[0])][:, untied(83, size[1])] for part in (exact, fast))
    assert np.abs(fast - exact).max() <= LEVELS
    assert (fast == exact).mean() > 0.7


@pytest.mark.parametrize("resized_first", [False, True])
def test_boxes_of_any_place(resized_first: bool) -> None:
    """Sides and shares of the centre that are no whole pixels."""
    installed()
    for _ in range(60):
        height, width, *size = RNG.integers(5, 70, 4).tolist()
        image, share = smooth(height, width), float(RNG.uniform(0.2, 1))
        asked = (image, tuple(size), "crop", "bilinear", share, resized_first)
        exact, fast = resize(*asked).astype(int), resize(*asked, fast=True).astype(int)
        assert np.abs(fast - exact).max() <= LEVELS, (height, width, size, share)


def test_floats_and_masks_are_pillows() -> None:
    installed()
    image = RNG.random((30, 40, 3), dtype=np.float32)
    asked = ((16, 16), "stretch", "bicubic")
    np.testing.assert_array_equal(resize(image, *asked), resize(image, *asked, fast=True))
    mask = RNG.integers(0, 3, (30, 40, 1), dtype=np.uint8)
    asked = ((16, 16), "stretch", "nearest")
    np.testing.assert_array_equal(resize(mask, *asked), resize(mask, *asked, fast=True))


def test_images_of_a_source() -> None:
    """Threads resize at once; each image is its own."""
    installed()
    images = [smooth(50, 60) for _ in range(40)]
    samples = Samples(
        ids=np.array([f"i{k}" for k in range(40)]), read=lambda k: images[k], checksum=lambda k: b""
    )
    how = Images(size=(24, 24), filter="bicubic", resizing="fast")
    found = decode(samples, np.arange(40), how)
    for row, image in zip(found, images, strict=True):
        np.testing.assert_array_equal(row, resize(image, (24, 24), "stretch", "bicubic", fast=True))
    np.testing.assert_array_equal(np.concatenate(list(stream(samples, np.arange(40), how, 7))), found)


@pytest.mark.parametrize("found", [None, ModuleType("cykooz_resizer")], ids=["missing", "of another version"])
def test_a_package_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, found: ModuleType | None
) -> None:
    """Before an image is read."""
    monkeypatch.setitem(sys.modules, "cykooz_resizer", found)

    def read(position: int) -> np.ndarray:
        raise AssertionError("an image was read")

    samples = Samples(ids=np.array(["a"]), read=read, checksum=lambda _: b"")
    how = Images(size=(8, 8), resizing="fast")
    wanted = r"images\.resizing='fast' needs cykooz-resizer: pip install 'jaxlab\[fast\]'"
    with pytest.raises(UserError, match=wanted):
        decode(samples, np.arange(1), how)
    with pytest.raises(UserError, match=wanted):
        next(stream(samples, np.arange(1), how, 1))
    pytest.importorskip("tensorflow_datasets", reason="the extra `tfds` is not installed")
    with pytest.raises(UserError, match=wanted):
        prepare(Simulated(images=4).open(), how, tmp_path / "out", {})
