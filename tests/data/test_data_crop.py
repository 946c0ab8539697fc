"""`policy="crop"` of weights that come from timm: its evaluation transform, pixel for pixel.

The reference is timm's own steps in Pillow: torchvision's `Resize(floor(size / crop_pct))`, whose longer side is
`int(size * long / short)`, then `CenterCrop(size)`, whose corner is `int(round((long - size) / 2))`. The kind: another
geometry than the one that weights were evaluated with, where a size does not divide; so sizes are odd here.
"""

import math

import numpy as np
import pytest
from PIL import Image

from jaxlab.core.config import identity
from jaxlab.core.types import Samples, UserError
from jaxlab.data import Images, decode
from jaxlab.data.device.augment import Normalize
from jaxlab.encode import ImageEncoder
from jaxlab.models import LeNet5
from jaxlab.weights.load import _timms
from jaxlab.weights.match import KeyLayout
from jaxlab.weights.preprocessing import described, prepared

RNG = np.random.default_rng(0)
FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "area": Image.Resampling.BOX,
}


def as_timm(image: np.ndarray, side: int, fraction: float, name: str) -> np.ndarray:
    """(h, w, 3) uint8 -> (side, side, 3)."""
    picture = Image.fromarray(image)
    width, height = picture.size
    short, scale = min(width, height), math.floor(side / fraction)
    longer = int(scale * max(width, height) / short)
    picture = picture.resize((scale, longer) if width <= height else (longer, scale), FILTERS[name])
    left, top = round((picture.width - side) / 2.0), round((picture.height - side) / 2.0)
    return np.asarray(picture.crop((left, top, left + side, top + side)))


def decoded(image: np.ndarray, **fields: object) -> np.ndarray:
    samples = Samples(ids=np.array(["a"]), read=lambda _: image, checksum=lambda _: b"")
    return decode(samples, np.arange(1), Images(policy="crop", **fields))[0]


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("fraction", [0.875, 0.9, 0.95, 1.0])
@pytest.mark.parametrize("shape", [(50, 37), (37, 50), (41, 41), (23, 91), (20, 24)])
def test_crop_is_timms(shape: tuple[int, int], fraction: float, name: str) -> None:
    image = RNG.integers(0, 256, (*shape, 3), dtype=np.uint8)
    asked = {"size": (24, 24), "filter": name, "crop_fraction": fraction}
    np.testing.assert_array_equal(
        decoded(image, crop_from="resized", **asked), as_timm(image, 24, fraction, name)
    )


def test_sides_of_another_length() -> None:
    """ResizeKeepRatio: 40 x 90 pixels become 24 x 54, of which the centre of 20 x 10 is cut."""
    image = RNG.integers(0, 256, (40, 90, 3), dtype=np.uint8)
    resized = Image.fromarray(image).resize((round(90 * 24 / 40), 24), Image.Resampling.BICUBIC)
    expected = np.asarray(resized)[2:22, 22:32]
    found = decoded(image, size=(20, 10), filter="bicubic", crop_fraction=20 / 24.5, crop_from="resized")
    np.testing.assert_array_equal(found, expected)


def test_otherwise_it_is_as_ever() -> None:
    image = RNG.integers(0, 256, (50, 37, 3), dtype=np.uint8)
    asked = {"size": (24, 24), "filter": "bicubic", "crop_fraction": 0.875}
    np.testing.assert_array_equal(decoded(image, **asked), decoded(image, crop_from="box", **asked))
    assert (decoded(image, **asked) != decoded(image, crop_from="resized", **asked)).any()


def layout(name: str) -> KeyLayout:
    return KeyLayout(name, (), (), None)


def test_weights_from_timm_bring_it() -> None:
    told = {"config.json": {"pretrained_cfg": {"crop_pct": 0.875}}}
    assert _timms(layout("torchvision"), {}) == {}
    assert _timms(layout("transformers"), {"config.json": {}}) == {}
    squashed = {"config.json": {"pretrained_cfg": {"crop_pct": 1.0, "crop_mode": "squash"}}}
    assert _timms(layout("timm"), squashed) == {}
    for found in (_timms(layout("timm"), {}), _timms(layout("torchvision"), told)):
        assert found == {"crop_from": "resized"}
    weights = {"preprocessing": {"crop_fraction": 0.875, "crop_from": "resized"}}
    images, _ = prepared(Images(policy="crop"), None, weights)
    assert (images.crop_from, images.crop_fraction) == ("resized", 0.875)
    assert "cut from the resized image as timm does" in described(images, Normalize())
    assert prepared(Images(), None, weights)[0].crop_from is None
    assert prepared(Images(policy="crop", crop_from="box"), None, weights)[0].crop_from is None
    older = {"preprocessing": {"crop_fraction": 0.875}}  # of a run that an earlier version began
    assert prepared(Images(policy="crop"), None, older)[0].crop_from is None


def test_an_encoder_of_an_earlier_run_keeps_its_way() -> None:
    encoder = ImageEncoder(model=LeNet5(), images=Images(size=(32, 32), policy="crop"))
    record = {"encoder": identity(encoder)}
    assert encoder.as_in(record).images.crop_from == "box"
    assert identity(encoder.as_in(record).load().config)["images"] == {**record["encoder"]["images"]}
    cut = {
        "encoder": identity(
            ImageEncoder(model=LeNet5(), images=Images(size=(8, 8), policy="crop", crop_from="resized"))
        )
    }
    assert encoder.as_in(cut).images.crop_from == "resized"


def test_a_field_without_crop_is_refused() -> None:
    with pytest.raises(UserError, match=r'Images\.crop_from: expected policy="crop"'):
        Images(crop_from="box")
    assert "crop_from" not in identity(Images(policy="crop"))


def test_sizes_that_fit_no_memory_are_refused(tmp_path) -> None:
    """100,000 squared takes 30 GB an image; so does one pixel by 60,000 that is made 224 high before it is cut."""
    with pytest.raises(
        UserError, match=r"Images.size: expected at most 100,000,000 pixels, found \(100000, 100000\)"
    ):
        Images(size=(100_000, 100_000))
    narrow = Samples(
        ids=np.array(["a"]), read=lambda _: np.zeros((1, 60_000, 3), np.uint8), checksum=lambda _: b"a"
    )
    images = Images(size=(224, 224), policy="crop", crop_from="resized")
    with pytest.raises(
        UserError, match="a: 1 x 60000 pixels would be 224 x 13,440,000 before its centre is cut"
    ):
        decode(narrow, np.arange(1), images)
