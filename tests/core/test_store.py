"""Stored arrays are complete or absent."""

import hashlib
import os
import signal
import time
from pathlib import Path

import killed
import numpy as np
import processes
import pytest

from jaxlab.core import checksum
from jaxlab.core.store import cache_dir, stored
from jaxlab.core.types import UserError

SHAPE, FLOAT = (100, 3), np.dtype(np.float32)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JAXLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def ones(array: np.ndarray) -> None:
    array[:] = 1


def forbidden(array: np.ndarray) -> None:
    raise AssertionError("a stored array was made again")


def test_filled_once() -> None:
    assert (stored("a", SHAPE, FLOAT, ones) == 1).all()
    again = stored("a", SHAPE, FLOAT, forbidden)
    assert (again == 1).all()
    with pytest.raises(ValueError, match="read-only"):
        again[0] = 2


def test_what_fails_half_way_is_not_kept(cache: Path) -> None:
    def fails(array: np.ndarray) -> None:
        array[:50] = 7
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stored("a", SHAPE, FLOAT, fails)
    assert list(cache.iterdir()) == []
    assert (stored("a", SHAPE, FLOAT, ones) == 1).all()


def test_what_a_killed_process_left_is_not_read(cache: Path) -> None:
    assert processes.run(killed.store_half).returncode == -signal.SIGKILL
    assert [path.suffix for path in cache.iterdir()] == [".partial"]
    assert (stored("a", SHAPE, FLOAT, ones) == 1).all()


@pytest.mark.parametrize("kept", [0, 60, 500])
def test_a_damaged_file_is_made_again(cache: Path, kept: int) -> None:
    stored("a", SHAPE, FLOAT, ones)
    path = cache / "a.npy"
    path.write_bytes(path.read_bytes()[:kept])
    assert (stored("a", SHAPE, FLOAT, ones) == 1).all()


# The kind: a file of the cache that is not as it was written, wherever in it and however little. It is dropped and made
# again; a header that numpy cannot parse blocks no later run.
CHANGES = {
    "a bit of the header's magic": lambda raw: flipped(raw, 2),
    "a bit of the header's text": lambda raw: flipped(raw, 30),
    "a bit of the spaces after it": lambda raw: flipped(raw, 120),
    "a bit of the first number": lambda raw: flipped(raw, 128),
    "a bit of the last number": lambda raw: flipped(raw, 128 + 1199),
    "a bit of the sum": lambda raw: flipped(raw, len(raw) - 3),
    "no sum": lambda raw: raw[: 128 + 1200],
    "half a sum": lambda raw: raw[:-20],
    "bytes after it": lambda raw: raw + b"x",
    "another order": lambda raw: raw.replace(b"False", b"True "),
    "a header of a torn tuple": lambda raw: raw[:10] + b"{'descr': (" + raw[21:],
    "a header of nothing that Python is": lambda raw: raw[:10] + b"\xff" * 118 + raw[128:],
    "a header of a huge shape": lambda raw: raw.replace(b"(100, 3)", b"(9**99,)"),
    "a header deeper than Python goes": lambda raw: raw[:10] + b"(" * 118 + raw[128:],
}


def flipped(raw: bytes, place: int) -> bytes:
    return raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_is_not_as_it_was_written_is_made_again(cache: Path, change: str) -> None:
    stored("a", SHAPE, FLOAT, ones)
    path = cache / "a.npy"
    raw = path.read_bytes()
    assert CHANGES[change](raw) != raw
    path.write_bytes(CHANGES[change](raw))
    assert (stored("a", SHAPE, FLOAT, ones) == 1).all()
    assert path.read_bytes() == raw
    assert (stored("a", SHAPE, FLOAT, forbidden) == 1).all()


def test_the_sum_is_of_all_blocks_and_taken_once_a_process(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, read = bytes(range(100)), []
    (file := cache.parent / "file").write_bytes(content)
    pread = os.pread
    monkeypatch.setattr(checksum, "_BLOCK", 40)
    monkeypatch.setattr(os, "pread", lambda *given: read.append(given[1:]) or pread(*given))
    blocks = [hashlib.sha256(content[start : start + 40]).digest() for start in (0, 40, 80)]
    for _ in range(2):
        assert checksum.content_sum(file) == hashlib.sha256(b"".join(blocks)).hexdigest()
    assert sorted(read) == [(20, 80), (40, 0), (40, 40)]


@pytest.mark.parametrize(("hours", "stays"), [(1, True), (25, False)])
def test_what_killed_processes_left_goes_a_day_later(cache: Path, hours: int, stays: bool) -> None:
    cache.mkdir()
    left = cache / "a.0123.partial"
    left.touch()
    os.utime(left, (time.time() - 3600 * hours,) * 2)
    stored("a", SHAPE, FLOAT, ones)
    assert left.exists() == stays


def test_a_folder_that_cannot_be_made_is_an_error(cache: Path) -> None:
    cache.write_text("a plain file")
    with pytest.raises(UserError, match=r"a\.npy could not be written \(.*JAXLAB_CACHE"):
        stored("a", SHAPE, FLOAT, ones)


def test_without_a_home_the_message_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAXLAB_CACHE")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda _: {}["nobody"])
    with pytest.raises(UserError, match="set JAXLAB_CACHE to one"):
        cache_dir()


def test_a_full_disk_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(UserError, match=r"No space left.*JAXLAB_CACHE"):
        stored("a", SHAPE, FLOAT, ones)
    assert list(cache.iterdir()) == []


def test_default_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAXLAB_CACHE")
    assert cache_dir() == Path.home() / ".cache" / "jaxlab"


def test_a_home_that_no_shell_has_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a service's Environment= or a Dockerfile's ENV."""
    monkeypatch.setenv("JAXLAB_CACHE", "~/cache")
    assert cache_dir() == Path.home() / "cache"
