"""Images of more than 8 bits: their levels are scaled by what the data reach or a field says, and it is said.

The kind: a file that stores more levels than the image that comes of it has. Such are grey PNG and TIFF of 16 bits,
TIFF of 32, TIFF of 64-bit offsets, and PNG, TIFF and PPM with 16 bits a colour, of which Pillow gives the upper byte
alone; with levels of 8, 10, 12 or 14 bits in them, and with transparency. Expected values are calculated by hand:
round(255 x level / white).
"""

from dataclasses import replace
from pathlib import Path

import deep_files
import numpy as np
import pytest
from PIL import Image

from jaxlab.core.config import identity
from jaxlab.core.types import Samples, UserError
from jaxlab.data import Images, RandomSplit, WithMasks, decode
from jaxlab.data.audit.audit import audit
from jaxlab.data.audit.findings import findings
from jaxlab.data.levels import Reach, at_levels, reach, settled, warn_of_dark
from jaxlab.data.readers.decoding import decode_image, stored_levels
from jaxlab.data.readers.image_files import file_samples
from jaxlab.data.source import Opened
from jaxlab.weights.preprocessing import check_intensities

RNG = np.random.default_rng(0)


def grey_png(path: Path, values: np.ndarray) -> Path:
    return deep_files.png(path.with_suffix(".png"), values[..., :1])


def grey_tiff(path: Path, values: np.ndarray) -> Path:
    Image.fromarray(values[..., 0].astype(np.uint16)).save(path := path.with_suffix(".tif"))
    return path


def integer_tiff(path: Path, values: np.ndarray) -> Path:
    Image.fromarray(values[..., 0].astype(np.int32)).save(path := path.with_suffix(".tiff"))
    return path


def colour_png(path: Path, values: np.ndarray) -> Path:
    return deep_files.png(path.with_suffix(".png"), values)


def opaque_png(path: Path, values: np.ndarray) -> Path:
    opaque = np.full_like(values[..., :1], 65535)
    return deep_files.png(path.with_suffix(".png"), np.concatenate([values, opaque], -1))


def opaque_grey_png(path: Path, values: np.ndarray) -> Path:
    opaque = np.full_like(values[..., :1], 65535)
    return deep_files.png(path.with_suffix(".png"), np.concatenate([values[..., :1], opaque], -1))


def intel_tiff(path: Path, values: np.ndarray) -> Path:
    return deep_files.tiff(path.with_suffix(".tif"), values, "<")


def motorola_tiff(path: Path, values: np.ndarray) -> Path:
    return deep_files.tiff(path.with_suffix(".tif"), values, ">")


def grey_big_tiff(path: Path, values: np.ndarray) -> Path:
    Image.fromarray(values[..., 0].astype(np.uint16)).save(path := path.with_suffix(".tif"), big_tiff=True)
    return path


def ppm(path: Path, values: np.ndarray) -> Path:
    height, width, _ = values.shape
    head = b"P6\n# a camera's\n%d %d\n65535\n" % (width, height)
    (path := path.with_suffix(".ppm")).write_bytes(head + values.astype(">u2").tobytes())
    return path


def plain_ppm(path: Path, values: np.ndarray) -> Path:
    height, width, _ = values.shape
    numbers = " ".join(map(str, values.ravel().tolist()))
    (path := path.with_suffix(".ppm")).write_text(f"P3 {width} {height} 65535\n{numbers}\n")
    return path


WRITERS = [
    grey_png,
    grey_tiff,
    integer_tiff,
    opaque_grey_png,
    colour_png,
    opaque_png,
    intel_tiff,
    motorola_tiff,
    grey_big_tiff,
    ppm,
    plain_ppm,
]


def opened(train: Samples, test: Samples | None = None) -> Opened:
    return Opened(train=train, test=test, kind="regression", targets=("n0",))


def samples_of(files: list[Path]) -> Samples:
    return file_samples(np.array([file.stem for file in files]), files)


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize(("highest", "white"), [(200, 255), (1000, 1023), (4000, 4095), (16000, 16383)])
def test_levels_are_those_of_the_data(tmp_path: Path, write, highest: int, white: int) -> None:
    values = RNG.integers(0, highest + 1, (2, 6, 5, 3)).astype(np.uint16)
    values[0, 0, 0], values[1] = highest, values[1] // 3  # the darker one alone would fit into fewer bits
    samples = samples_of([write(tmp_path / f"i{k}", image) for k, image in enumerate(values)])
    said: list[str] = []
    assert settled(opened(samples), [None], said.append) == white
    assert len(said) == 1
    assert "2 of 2 images store more than 8 bits" in said[0]
    assert f"to {highest}; 0 is black and {white} white (images.levels)" in said[0]
    got = decode(samples, np.arange(2), Images(levels=white))
    assert got.dtype == np.uint8
    one = "grey" in write.__name__ or write is integer_tiff
    expected = (values[..., :1] if one else values) * 255.0 / white
    np.testing.assert_array_equal(got, np.broadcast_to(np.round(expected), got.shape))


def test_what_test_images_reach_counts_too(tmp_path: Path) -> None:
    files = [
        grey_png(tmp_path / f"i{k}", np.full((4, 4, 1), level, np.uint16))
        for k, level in enumerate((900, 3000))
    ]
    found = reach(opened(samples_of(files[:1]), samples_of(files[1:])))
    assert found == Reach(2, 2, 900, 3000)
    assert found.white == 4095


def test_full_16_bits_are_as_ever(tmp_path: Path) -> None:
    levels = np.array([[[0], [257], [128 * 257], [65535]]], np.uint16)
    samples = samples_of([grey_png(tmp_path / "i", levels)])
    assert settled(opened(samples), [None], lambda line: None) is None
    np.testing.assert_array_equal(decode(samples, np.arange(1), Images(channels=1)).ravel(), [0, 1, 128, 255])


@pytest.mark.parametrize("name", ["i.png", "i.jpg", "i.bmp", "i.gif", "i.tif", "i.webp", "i.ppm"])
def test_images_of_8_bits_are_none_of_these(tmp_path: Path, name: str) -> None:
    Image.fromarray(RNG.integers(0, 60, (8, 8, 3), dtype=np.uint8)).save(tmp_path / name)
    samples = samples_of([tmp_path / name])
    assert stored_levels(tmp_path / name, name) is None
    assert reach(opened(samples)) is None
    before, after = (decode(samples, np.arange(1), Images(levels=levels)) for levels in (None, 4095))
    np.testing.assert_array_equal(before, after)


def test_a_field_says_what_is_black_and_white(tmp_path: Path) -> None:
    levels = np.array([[[100], [600], [650], [700], [4095]]], np.uint16)
    samples = samples_of([grey_png(tmp_path / "i", levels)])
    shown = decode(samples, np.arange(1), Images(channels=1, levels=(600, 700)))
    np.testing.assert_array_equal(shown.ravel(), [0, 0, 128, 255, 255])
    with pytest.raises(UserError, match=r"from 100 to 4095, where 1023 is white \(images.levels\)"):
        decode(samples, np.arange(1), Images(channels=1, levels=1023))
    said: list[str] = []
    assert settled(opened(samples), [(600, 700)], said.append) is None
    assert "600 is black and 700 white" in said[0]


def test_floats_of_a_camera(tmp_path: Path) -> None:
    """As its program saves them: 0 to 4095 in a TIFF of floats. They stay floats, and lose nothing."""
    levels = RNG.uniform(0, 4095, (5, 4)).astype(np.float32)
    Image.fromarray(levels).save(tmp_path / "i.tif")
    samples = samples_of([tmp_path / "i.tif"])
    assert reach(opened(samples)) is None
    shown = decode(samples, np.arange(1), Images(channels=1, levels=4095))[0, ..., 0]
    np.testing.assert_allclose(shown, levels / 4095, rtol=1e-6)
    window = decode(samples, np.arange(1), Images(channels=1, levels=(1000, 2000)))[0, ..., 0]
    np.testing.assert_allclose(window, np.clip((levels - 1000) / 1000, 0, 1), atol=1e-6)
    with pytest.raises(UserError, match=r"i: levels from .*, where 255 is white \(images.levels\)"):
        decode(samples, np.arange(1), Images(channels=1, levels=255))
    with pytest.raises(UserError, match=r"floats from .*--set images\.levels=4095"):
        check_intensities("KaggleTable", samples.read(0))
    check_intensities("KaggleTable", at_levels(samples, 4095).read(0))


def test_few_steps_are_said_with_what_would_keep_more(tmp_path: Path) -> None:
    levels = np.linspace(600, 700, 25).reshape(5, 5, 1).astype(np.uint16)
    said: list[str] = []
    settled(opened(samples_of([grey_png(tmp_path / "i", levels)])), [None], said.append)
    assert said[0].endswith(
        "in 26 steps: images.levels=(600, 700) would keep more"
    )  # of 1023: 100 / 1023 x 255 + 1


@pytest.mark.parametrize("extreme", [-1024, 70000])
def test_levels_that_nothing_explains_are_asked_for(tmp_path: Path, extreme: int) -> None:
    levels = np.array([[[extreme], [1000]]])
    samples = samples_of([integer_tiff(tmp_path / "i", levels)])
    low, high = sorted((extreme, 1000))
    with pytest.raises(
        UserError, match=rf"from {low} to {high}, expected 0 to 65535.*levels=\({low},{high}\)"
    ):
        settled(opened(samples), [None], print)
    shown = decode(samples, np.arange(1), Images(channels=1, levels=(low, high)))
    np.testing.assert_array_equal(np.sort(shown.ravel()), [0, 255])


@pytest.mark.parametrize("levels", [0, -5, (10, 10), (20, 10)])
def test_levels_that_cannot_be(levels) -> None:
    with pytest.raises(UserError, match=r"Images.levels: expected white above 0"):
        Images(levels=levels)


def test_the_field_changes_no_earlier_experiment() -> None:
    assert "levels" not in identity(Images())
    assert identity(Images(levels=(1, 9)))["levels"] == [1, 9]


def test_new_images_darker_than_the_runs_are_warned_of(tmp_path: Path) -> None:
    samples = samples_of([grey_png(tmp_path / "i", np.full((2, 2, 1), 4000, np.uint16))])
    said: list[str] = []
    warn_of_dark(samples, 4095, said.append)
    assert not said
    warn_of_dark(samples, None, said.append)
    assert "levels up to 4000; 65535 is white" in said[0]


def test_the_audit_says_it_and_measures_what_is_seen(tmp_path: Path) -> None:
    levels = RNG.integers(0, 4096, (6, 8, 8, 1)).astype(np.uint16)
    samples = samples_of([grey_png(tmp_path / f"i{k}", image) for k, image in enumerate(levels)])
    found = audit(
        opened(replace(samples, target=np.arange(6, dtype=np.float32)[:, None])), RandomSplit(validation=0.5)
    )
    assert [line for line in findings(found) if "6 of 6 images store more than 8 bits" in line]
    brightest = max(entry.measured.highest for entry in found.entries if entry.measured is not None)
    assert brightest == pytest.approx(levels.max() / 4095, abs=1 / 255)


def test_masks_stay_beside_them(tmp_path: Path) -> None:
    levels = RNG.integers(0, 1024, (8, 8, 1)).astype(np.uint16)
    (tmp_path / "masks").mkdir()
    mask = RNG.integers(0, 2, (8, 8)).astype(np.uint8)
    Image.fromarray(mask * np.uint8(255)).save(tmp_path / "masks" / "i.png")
    samples = samples_of([grey_png(tmp_path / "i", levels)])
    masked = WithMasks(masks=str(tmp_path / "masks"))._with_masks(samples, tmp_path / "masks", [])
    got = decode(masked, np.arange(1), Images(channels=1, levels=1023))[0]
    np.testing.assert_array_equal(got[..., 0], np.round(levels[..., 0] * 255.0 / 1023))
    np.testing.assert_array_equal(got[..., 1], mask * 255)


# -- transparency ----------------------------------------------------------------------------------------------


def half(shape: tuple[int, ...], dtype: str = "uint8") -> np.ndarray:
    """The upper half 0, the lower 1."""
    return np.repeat(np.array([0, 1], dtype), 4).reshape(8, 1, *[1] * len(shape)) * np.ones(
        (1, 8, *shape), dtype
    )


def palette() -> Image.Image:
    image = Image.fromarray(half(()), "P")
    image.putpalette([0, 0, 0, 250, 250, 250])
    return image


TRANSPARENT = {  # the upper half is transparent, and the lower shows a level
    "L": (lambda: Image.fromarray(half(()) * np.uint8(250)), {"transparency": 0}, 250),
    "1": (lambda: Image.fromarray(half(()).astype(bool)), {"transparency": 0}, 255),
    "I;16": (lambda: Image.fromarray(half((), "uint16") * np.uint16(250 * 257)), {"transparency": 0}, 250),
    "RGB": (lambda: Image.fromarray(half((3,)) * np.uint8(250)), {"transparency": (0, 0, 0)}, 250),
    "P": (palette, {"transparency": 0}, 250),
    "P with opacities": (palette, {"transparency": bytes([0, 255])}, 250),
    "LA": (
        lambda: Image.fromarray(np.stack([half(()) * np.uint8(250), half(()) * np.uint8(255)], -1)),
        {},
        250,
    ),
    "RGBA": (
        lambda: Image.fromarray(np.concatenate([half((3,)) * np.uint8(250), half((1,)) * np.uint8(255)], -1)),
        {},
        250,
    ),
}


@pytest.mark.parametrize("mode", TRANSPARENT)
def test_transparency_is_mid_grey_in_every_mode(tmp_path: Path, mode: str) -> None:
    make, options, level = TRANSPARENT[mode]
    make().save(tmp_path / "i.png", **options)
    shown = decode_image(tmp_path / "i.png", "i.png")
    assert (shown[:4] == 128).all()
    assert (shown[4:] == level).all()


@pytest.mark.parametrize("suffix", ["gif", "webp"])
def test_transparency_of_other_formats(tmp_path: Path, suffix: str) -> None:
    make, _, _ = TRANSPARENT["RGBA"]
    make().save(tmp_path / f"i.{suffix}", lossless=True)
    shown = decode_image(tmp_path / f"i.{suffix}", "")
    assert (shown[:4] == 128).all()
    assert (shown[4:] == 250).all()


def test_a_grey_gif(tmp_path: Path) -> None:
    Image.fromarray(half(()) * np.uint8(250)).save(tmp_path / "i.gif", transparency=0)
    shown = decode_image(tmp_path / "i.gif", "")
    assert (shown[:4] == 128).all()
    assert (shown[4:] == 250).all()


@pytest.mark.parametrize(("bits", "clear"), [(2, 1), (4, 5), (4, 16 + 5)])  # of more bits, the low ones count
def test_transparency_of_few_bits(tmp_path: Path, bits: int, clear: int) -> None:
    """PNG's level is one of the file's own bits: 1 of 2 bits is 85 of 255. Written by hand: Pillow makes 8 of them."""
    path = deep_files.few_bits(tmp_path / "i.png", bits, clear)
    expected = np.arange(2**bits) * (255 // (2**bits - 1))
    expected[clear % 2**bits] = 128
    np.testing.assert_array_equal(decode_image(path, "i.png").ravel(), expected)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_transparency_of_16_bits(tmp_path: Path, channels: int) -> None:
    """Mid-grey whatever white is; and a level that is not seen decides nothing about it."""
    values = np.full((1, 3, channels), 2000, np.uint16)
    values[0, 0], values[0, 1] = 60000, 1000
    clear = () if channels in (2, 4) else (60000,) * channels
    if not clear:
        values[0, :, -1] = [0, 65535, 65535]
    path = deep_files.png(tmp_path / "i.png", values, clear)
    samples = samples_of([path])
    assert reach(opened(samples)) == Reach(1, 1, 1000, 2000)
    shown = decode(samples, np.arange(1), Images(levels=4095))[0, 0, :, 0]
    np.testing.assert_array_equal(shown, [128, round(1000 * 255 / 4095), round(2000 * 255 / 4095)])
    assert decode_image(path, "")[0, 0, 0] == 128


def test_half_transparent_levels_are_mixed_with_mid_grey(tmp_path: Path) -> None:
    values = np.array([[[4000, 65535], [4000, 32768], [1000, 13107]]], np.uint16)
    samples = samples_of([deep_files.png(tmp_path / "i.png", values)])
    opacity = np.array([65535, 32768, 13107]) / 65535
    expected = values[0, :, 0] * 255.0 / 4095 * opacity + 128 * (1 - opacity)
    shown = decode(samples, np.arange(1), Images(levels=4095))[0, 0, :, 0]
    np.testing.assert_array_equal(shown, np.round(expected))


def test_files_that_lie_on_their_side(tmp_path: Path) -> None:
    levels = RNG.integers(0, 4096, (2, 3)).astype(np.uint16)
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(levels).save(tmp_path / "i.png", exif=exif)
    samples = samples_of([tmp_path / "i.png"])
    expected = np.rot90(np.round(levels * 255.0 / 4095), -1)
    np.testing.assert_array_equal(
        decode(samples, np.arange(1), Images(channels=1, levels=4095))[0, ..., 0], expected
    )


def test_levels_of_a_tiff_in_which_0_is_white_are_turned_round(tmp_path):
    """WhiteIsZero, TIFF 6.0 page 37: "0 is imaged as white", the highest level as black."""
    values = np.array([[0, 1000, 32768, 65535]])
    for kind, white in ((np.uint16, 65535), (np.uint8, 255)):
        stored = values * white // 65535
        file = deep_files.grey_tiff(tmp_path / "x.tif", stored.astype(kind), photometric=0)
        assert decode_image(file, "x")[0, :, 0].tolist() == [
            round(255 * (white - v) / white) for v in stored[0]
        ]
    file = deep_files.grey_tiff(tmp_path / "x.tif", values.astype(np.uint16), photometric=0)
    assert stored_levels(file, "x").levels.ravel().tolist() == [65535, 64535, 32767, 0]


@pytest.mark.parametrize(
    ("kind", "tags", "words"),
    [
        (
            np.float16,
            {},
            "a TIFF with floats of 16 bits, which is not read; save it as whole numbers of 8 or 16",
        ),
        (np.uint64, {}, "a TIFF with whole numbers of 64 bits, which is not read"),
        (
            np.uint8,
            {"compression": 34887},
            "a TIFF with whole numbers of 8 bits, of compression 34887, which is not read",
        ),
        (np.uint32, {"photometric": 0}, ".*in which 0 is white, which is not read; .* with 0 for black"),
        (
            np.float32,
            {"photometric": 0},
            r"a TIFF of floats in which 0 is white \(WhiteIsZero\); invert them",
        ),
        (np.int8, {}, "a TIFF of 8-bit levels with a sign; save them as 8 bits without one"),
    ],
)
def test_a_tiff_that_is_not_read_is_told_what_it_holds(tmp_path, kind, tags, words):
    file = deep_files.grey_tiff(tmp_path / "x.tif", np.zeros((2, 3), kind), **tags)
    with pytest.raises(UserError, match=rf"x\.tif: cannot be decoded \({words}"):
        decode_image(file, "x.tif")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n",
            "a pointer of Git LFS; `git lfs pull`",
        ),
        (b"\n<!DOCTYPE html><html>", "a web page; was a download refused?"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "not an image that is read: HEIC; save it as PNG or JPEG"),
        (bytes(128) + b"DICM", "not an image that is read: DICOM"),
        (bytes(300), "zeros; was a copy or a download cut short?"),
        (b"II*\0" + bytes(9), "a damaged TIFF"),
        (b"something else", "not an image"),
    ],
)
def test_a_file_that_is_no_image_is_told_what_it_is(tmp_path, content, words):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(UserError) as refused:
        decode_image(tmp_path / "x.png", "x")
    assert str(refused.value).startswith(f"x: cannot be decoded ({words}")
