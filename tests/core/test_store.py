"""Stored arrays are complete or absent."""

import os
import signal
from pathlib import Path

import killed
import numpy as np
import processes
import pytest

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
