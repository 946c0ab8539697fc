"""Stored layers are whole or absent, and what was done before a kill is not done again."""

import hashlib
import json
import os
import time
from pathlib import Path

import filled
import ml_dtypes
import numpy as np
import processes
import pytest

from jaxlab.core.types import UserError
from jaxlab.encode import store
from jaxlab.encode.store import Folder, Layer

LAYER = Layer("block1", "none", (10, 2, 3), "float32")
HALF = Layer("block1", "none", (10, 2, 3), "bfloat16")
VALUES = np.random.default_rng(0).normal(size=(10, 2, 3)).astype(np.float32)
IDS = np.array([f"i{k}" for k in range(10)])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setenv("JAXLAB_CACHE", str(tmp_path))
    monkeypatch.setattr("jaxlab.encode.store.FLUSH_SECONDS", 0.0)
    return Folder("key")


def fill(folder: Folder, *layers: Layer, values=VALUES, dies_at: int | None = None) -> list[int]:
    """Two rows at a time; the first rows of the batches asked for."""
    asked = []

    def batches(done):
        for start in range(done, 10, 2):
            if start == dies_at:
                raise KeyboardInterrupt
            asked.append(start)
            rows = np.arange(start, min(start + 2, 10))
            yield rows, {layer.name: values[rows].astype(layer.dtype) for layer in layers}

    with folder.locked(otherwise=pytest.fail):
        folder.fill(layers, IDS, {"digest": "d"}, batches)
    return asked


def test_what_is_filled_is_read(folder):
    assert folder.open(LAYER) is None
    fill(folder, LAYER)
    found = folder.open(LAYER)
    np.testing.assert_array_equal(found, VALUES)
    np.testing.assert_array_equal(np.load(folder.path / "block1.none.float32.npy"), VALUES)
    np.testing.assert_array_equal(np.load(folder.path / "ids.npy"), IDS)
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 0
    manifest = json.loads((folder.path / "manifest.json").read_text())
    assert manifest == {
        "schema": 1,
        "digest": "d",
        "rows": 10,
        "layers": {
            "block1.none.float32.npy": {
                "layer": "block1",
                "pool": "none",
                "shape": [10, 2, 3],
                "dtype": "float32",
                "sum": sum_of((folder.path / LAYER.file).read_bytes()),
            }
        },
    }


def sum_of(content: bytes) -> str:
    """Of a file of less than 16 MiB."""
    return hashlib.sha256(hashlib.sha256(content).digest()).hexdigest()


def test_bfloat16_is_kept_as_its_bits(folder):
    fill(folder, HALF)
    found = folder.open(HALF)
    assert found.dtype == ml_dtypes.bfloat16
    bits = np.load(folder.path / "block1.none.bfloat16.npy")
    assert bits.dtype == np.uint16
    # A float32's upper half, rounded to even.
    whole = VALUES.view(np.uint32).astype(np.uint64)
    np.testing.assert_array_equal(bits, (whole + 0x7FFF + ((whole >> 16) & 1)) >> 16)
    np.testing.assert_allclose(found.astype(np.float32), VALUES, rtol=2**-8)


def test_a_further_layer_leaves_the_others_as_they_are(folder):
    other = Layer("block2", "mean", (10, 2, 3), "float32")
    fill(folder, LAYER)
    before = (folder.path / LAYER.file).stat().st_mtime_ns
    fill(folder, other, values=VALUES + 1)
    np.testing.assert_array_equal(folder.open(other), VALUES + 1)
    np.testing.assert_array_equal(folder.open(LAYER), VALUES)
    assert (folder.path / LAYER.file).stat().st_mtime_ns == before


def test_goes_on_where_it_was_stopped(folder):
    with pytest.raises(KeyboardInterrupt):
        fill(folder, LAYER, dies_at=6)
    assert folder.open(LAYER) is None
    assert fill(folder, LAYER) == [6, 8]
    np.testing.assert_array_equal(folder.open(LAYER), VALUES)


def test_layers_that_are_not_equally_far_go_on_from_the_first_row_that_one_lacks(folder):
    other = Layer("block2", "none", (10, 2, 3), "float32")
    with pytest.raises(KeyboardInterrupt):
        fill(folder, LAYER, dies_at=6)
    assert fill(folder, LAYER, other) == [0, 2, 4, 6, 8]
    for layer in (LAYER, other):
        np.testing.assert_array_equal(folder.open(layer), VALUES)


@pytest.mark.parametrize("kept", [0, 60, 200])
def test_a_file_that_was_cut_short_is_not_read(folder, kept):
    fill(folder, LAYER)
    file = folder.path / LAYER.file
    file.write_bytes(file.read_bytes()[:kept])
    assert folder.open(LAYER) is None
    fill(folder, LAYER)
    np.testing.assert_array_equal(folder.open(LAYER), VALUES)


@pytest.mark.parametrize("kept", [0, 60, 200])
def test_a_partial_file_that_was_cut_short_is_begun_anew(folder, kept):
    with pytest.raises(KeyboardInterrupt):
        fill(folder, LAYER, dies_at=6)
    file = folder.path / f"{LAYER.file}.partial"
    file.write_bytes(file.read_bytes()[:kept])
    assert fill(folder, LAYER) == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("layer", [LAYER, HALF])
@pytest.mark.parametrize("place", [3, 40, 120, 128, 200, -1])
def test_a_file_in_which_a_bit_has_changed_is_made_anew(folder, layer, place):
    """The kind: header or values, of any layer, that are not as they were written."""
    fill(folder, layer)
    file = folder.path / layer.file
    raw = bytearray(file.read_bytes())
    raw[place] ^= 1
    file.write_bytes(raw)
    assert folder.open(layer) is None
    assert fill(folder, layer) == [0, 2, 4, 6, 8]
    np.testing.assert_array_equal(folder.open(layer).astype(layer.dtype), VALUES.astype(layer.dtype))


def test_a_header_that_numpy_cannot_parse_blocks_nothing(folder):
    fill(folder, LAYER)
    file = folder.path / LAYER.file
    raw = file.read_bytes()
    for header in (b"(" * 118, b"{'descr': (", b"\xff" * 118, b"{'shape': 10**400}"):
        file.write_bytes(raw[:10] + header.ljust(118) + raw[128:])
        assert folder.open(LAYER) is None
    fill(folder, LAYER)
    np.testing.assert_array_equal(folder.open(LAYER), VALUES)


def test_a_layer_that_version_0_1_listed_is_read(folder):
    """It wrote no sums."""
    fill(folder, LAYER)
    manifest = folder.path / "manifest.json"
    listed = json.loads(manifest.read_text())
    del listed["layers"][LAYER.file]["sum"]
    manifest.write_text(json.dumps(listed))
    np.testing.assert_array_equal(folder.open(LAYER), VALUES)


@pytest.mark.parametrize("rows", [[], {"block1.none.float32.npy": "6"}, {"block1.none.float32.npy": -2}])
def test_a_record_of_progress_of_another_shape_is_begun_anew(folder, rows):
    with pytest.raises(KeyboardInterrupt):
        fill(folder, LAYER, dies_at=6)
    (folder.path / "progress.json").write_text(json.dumps({"schema": 1, "rows": rows}))
    assert fill(folder, LAYER) == [0, 2, 4, 6, 8]


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"schema": 2, "layers": {}}', "[]", '{"schema": 1, "layers": []}', "[" * 100_000, "\udcff"],
)
def test_a_manifest_that_is_not_whole_lists_nothing(folder, text):
    fill(folder, LAYER)
    (folder.path / "manifest.json").write_bytes(text.encode(errors="surrogateescape"))
    assert folder.open(LAYER) is None
    assert fill(folder, LAYER) == [0, 2, 4, 6, 8]


def test_a_file_that_the_manifest_does_not_list_is_not_read(folder):
    folder.path.mkdir(parents=True)
    np.save(folder.path / LAYER.file, VALUES)
    assert folder.open(LAYER) is None
    fill(folder, HALF)
    assert folder.open(LAYER) is None


def test_a_full_disk_is_an_error_that_says_what_to_do(folder, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(UserError, match=r"No space left.*JAXLAB_CACHE.*pool=\"mean\""):
        fill(folder, LAYER)
    assert not list(folder.path.glob("*.npy*"))


def test_a_folder_that_cannot_be_made_is_an_error(folder, tmp_path):
    (tmp_path / "features").write_text("a file")
    with pytest.raises(UserError, match=r"could not be written \(.*JAXLAB_CACHE"):
        fill(folder, LAYER)


def test_a_second_process_waits_for_the_first(folder):
    with processes.Process(filled.hold, 1) as other:
        assert other.stdout.readline() == "held\n"
        asked = []
        with folder.locked(otherwise=lambda: asked.append("what else to do")):
            assert other.wait() == 0
        assert asked


def test_a_killed_process_holds_no_lock(folder):
    with processes.Process(filled.hold, 60) as other:
        assert other.stdout.readline() == "held\n"
        other.kill()
    start = time.monotonic()
    assert fill(folder, LAYER) == [0, 2, 4, 6, 8]
    assert time.monotonic() - start < 50  # it did not wait for the sleeper


@pytest.mark.parametrize("dies_at", range(8))
def test_killed_between_any_two_writes_at_the_end_nothing_is_computed_again(folder, monkeypatch, dies_at):
    """Two layers' sums and names, then what is listed, and what is still to do."""
    other, done, now = Layer("block2", "none", (10, 2, 3), "float32"), [0], [0]

    def dying(function):
        def call(*given):
            if now[0] and done[0] == dies_at:
                raise KeyboardInterrupt
            done[0] += now[0]
            return function(*given)

        return call

    finish = Folder._finish

    def finishing(self, *given):
        now[0] = 1
        finish(self, *given)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "_finish", finishing)
        patch.setattr("jaxlab.encode.store.content_sum", dying(store.content_sum))
        patch.setattr("jaxlab.encode.store.write_json", dying(store.write_json))
        patch.setattr(Path, "replace", dying(Path.replace))
        with pytest.raises(KeyboardInterrupt):
            fill(folder, LAYER, other)
    if folder.open(LAYER) is None:
        assert fill(folder, LAYER, other) == []
    for layer in (LAYER, other):
        np.testing.assert_array_equal(folder.open(layer), VALUES)
