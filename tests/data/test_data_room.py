"""What is opened as an image, and how many pixels at a time.

The kind: a file from a stranger that makes decoding do more than decoding, or take memory without a bound.
"""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from jaxlab.core.types import UserError
from jaxlab.data import Images, decode
from jaxlab.data.readers import decoding
from jaxlab.data.readers.image_files import SUFFIXES, file_samples, read_image
from jaxlab.data.readers.room import Room
from jaxlab.data.sources.masks import _read as read_mask

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n(x) run\n%%EOF\n"


@pytest.mark.parametrize(
    "read", [read_image, read_mask, lambda path: decoding.stored_levels(path, "") or read_image(path)]
)
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
def test_no_program_is_started(tmp_path: Path, monkeypatch, read, name: str) -> None:
    """Pillow hands an EPS to Ghostscript, whatever its name."""
    started: list[object] = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *given, **more: started.append(given))
    (tmp_path / name).write_bytes(EPS)
    with pytest.raises(UserError, match=r"cannot be decoded \(not an image\)"):
        read(tmp_path / name)
    assert not started


@pytest.mark.parametrize("kind", ["ICNS", "SGI", "TGA", "PCX", "DDS", "JPEG2000", "MPO"])
def test_formats_that_nobody_asked_for(tmp_path: Path, kind: str) -> None:
    """MPO, as many telephones write, begins with an ordinary JPEG."""
    try:
        Image.new("RGB", (16, 16)).save(tmp_path / "a.png", kind)
    except (KeyError, OSError):
        pytest.skip(f"this Pillow does not write {kind}")
    if kind == "MPO":
        assert read_image(tmp_path / "a.png").shape == (16, 16, 3)
    else:
        with pytest.raises(UserError, match="not an image"):
            read_image(tmp_path / "a.png")


def test_every_suffix_has_its_format(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        mode = "L" if suffix == ".pgm" else "RGB"
        Image.new(mode, (4, 4)).save(tmp_path / f"a{suffix}")
        assert read_image(tmp_path / f"a{suffix}").shape[:2] == (4, 4)


def most_at_once(room: Room, sizes: list[int], keep: bool = False) -> int:
    """The most pixels that threads had at a time."""
    lock, now, most = threading.Lock(), [0], [0]

    def one(size: int) -> None:
        with room.kept() if keep else room.taken(0):
            with room.taken(size):
                with lock:
                    now[0] += size
                    most[0] = max(most[0], now[0])
                time.sleep(0.002)
            time.sleep(0.002 if keep else 0)
            with lock:
                now[0] -= size

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, sizes))
    assert room._used == 0
    return most[0]


def test_threads_wait_for_room() -> None:
    assert most_at_once(Room(100), [40] * 16, keep=True) <= 80
    assert most_at_once(Room(100), [60] * 16, keep=True) == 60
    assert most_at_once(Room(100), [250, 30, 250, 30] * 3, keep=True) == 250  # too large: alone


def test_a_thread_that_has_room_does_not_wait_for_more() -> None:
    room = Room(100)

    def one(_: int) -> None:
        with room.kept(), room.taken(90), room.taken(90):  # an image and its mask
            time.sleep(0.001)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(12), timeout=20))
    assert room._used == 0


def test_room_is_left_where_decoding_fails(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(
        tmp_path / "a.png"
    )
    cut = (tmp_path / "a.png").read_bytes()[:900]
    (tmp_path / "a.png").write_bytes(cut)
    with pytest.raises(UserError, match="truncated"):
        read_image(tmp_path / "a.png")
    assert decoding.ROOM._used == 0


def test_decoding_takes_room_until_an_image_is_small(tmp_path: Path, monkeypatch) -> None:
    Image.new("RGB", (40, 40)).save(tmp_path / "a.png")
    room, used = Room(2000), []
    monkeypatch.setattr(decoding, "ROOM", room)
    monkeypatch.setattr("jaxlab.data.images.ROOM", room)
    monkeypatch.setattr(
        "jaxlab.data.images.resize", lambda image, *_: used.append(room._used) or image[:8, :8]
    )
    samples = file_samples(np.array(list("abcd")), [tmp_path / "a.png"] * 4)
    decode(samples, np.arange(4), Images(size=(8, 8)))
    assert used == [1600] * 4
    assert room._used == 0


def test_more_pixels_than_pillow_takes_are_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    Image.new("1", (30, 30)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"cannot be decoded \(Image size \(900 pixels\) exceeds"):
        read_image(tmp_path / "a.png")
