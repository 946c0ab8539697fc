"""A stranger's file does nothing to who reads it: it is refused in a sentence, in time and memory of its size.

The kinds: small pickles that grow by references; headers that speak of more than is there; archives that are damaged,
encrypted or packed in unknown ways; JSON and numbers beyond all bounds.
"""

import io
import json
import pickle
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from submit import Predictions, SubmissionError, check, load_ceiling, mean, write
from submit.cli.main import main
from submit.files.pickles import load_plain
from submit.files.zips import read_npz
from submit.regions import load_regions
from submit.scores.repeats import load_repeats

NAMES = np.array(list("abc"))


def shared(make: Callable[[list], object], depth: int = 60) -> bytes:
    """A pickle of ten references to ten references to ..."""
    one: object = make(["x"] * 10)
    for _ in range(depth):
        one = make([one] * 10)
    return pickle.dumps(one, 4)


def unhashed(values: list) -> tuple:
    return tuple(values)


# {(((...),)*10,)*10: 1}, written out: Python itself would never finish hashing its key to write it.
_TWICE = b"".join(b"h" + bytes([k]) + b"h" + bytes([k]) + b"\x86\x94" for k in range(60))
KEY = b"\x80\x04K\x01\x940}h\x00" + _TWICE + b"K\x01s."
PICKLES = {
    "lists": shared(list),
    "tuples": shared(unhashed),
    "mappings": shared(lambda values: {"a": values[0], "b": values[-1], "c": values[0]}),
    "a key": KEY,
    "remembered objects": b"\x80\x04]r\x00\x00\x00\x10.",
    "remembered objects as text": b"\x80\x04]p268435456\n.",
    "itself": b"\x80\x04]\x94h\x00a.",
    "torn": pickle.dumps([1, 2, 3], 4)[:-3],
    "nothing below": b"\x80\x04a.",
    "a mark alone": b"\x80\x04(a.",
    "many bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"x.",
}


@pytest.mark.parametrize("case", PICKLES)
def test_pickles_that_grow_are_refused(case, tmp_path):
    (tmp_path / "x.pkl").write_bytes(PICKLES[case])
    assert len(PICKLES[case]) < 4000
    before = time.process_time()
    tracemalloc.start()
    (fault,) = check(tmp_path / "x.pkl")
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()
    assert time.process_time() - before < 2
    assert (
        "x.pkl: it cannot be read as a pickle (" in fault or "expected a dict of regions, found list" in fault
    )


def test_what_is_shared_by_right_is_read():
    values = np.arange(6.0).reshape(2, 3)
    one = {"a": values, "b": [values, values], "c": {"d": values}, "e": ("x",) * 3, "f": [[1] * 9] * 9}
    for protocol in range(2, 6):
        found = load_plain(io.BytesIO(pickle.dumps(one, protocol)))
        assert found["b"][0] is found["a"]
        assert (found["e"], found["f"]) == (one["e"], one["f"])
        np.testing.assert_array_equal(found["c"]["d"], values)
    many = load_plain(io.BytesIO(pickle.dumps(dict.fromkeys(range(20000), values))))
    assert len(many) == 20_000


def npy(header: str, content: bytes = bytes(24)) -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


def text(*codes: int) -> bytes:
    """Three texts of one character each, of these numbers."""
    header = "{'descr': '<U1', 'fortran_order': False, 'shape': (3,), }"
    return npy(header, struct.pack("<3I", *codes))


HEADERS = {
    "half a character": text(0x61, 0xD800, 0x62),
    "no character": text(0x61, 0x110000, 0x62),
    "-1": text(0xFFFFFFFF, 0x61, 0x62),
    "records": npy("{'descr': [('a', '<U1'), ('b', '<f4')], 'fortran_order': False, 'shape': (3,), }"),
    "torn": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3"),
    "2^40": npy(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({2**40},), }}"),
    "10^23": npy(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({10**23},), }}"),
    "2^40 of nothing": npy(f"{{'descr': '|V0', 'fortran_order': False, 'shape': ({2**40},), }}"),
    "2^40 x 2^40": npy(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({2**40}, {2**40}), }}"),
    "below 0": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-3,), }"),
    "objects": npy("{'descr': '|O', 'fortran_order': False, 'shape': (3,), }"),
    "other keys": npy("{'descr': '<f8', 'shape': (3,), }"),
    "other kind": npy("{'descr': 'nonsense', 'fortran_order': False, 'shape': (3,), }"),
    "nested": npy("(" * 60),
    "short": npy("{'descr': '<f8', 'fortran_order': False, 'shape': (9,), }"),
    "no array": b"regression",
    "empty": b"",
}


@pytest.fixture
def good(tmp_path) -> dict[str, bytes]:
    path = Predictions(np.array(["i0", "i1"]), np.eye(2, 3), NAMES).save(tmp_path / "good.npz")
    (tmp_path / "sample.csv").write_text("id,a,b,c\ni0,0,0,0\ni1,0,0,0\n")
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("case", HEADERS)
def test_headers_that_speak_of_more_than_is_there(case, good, tmp_path):
    (tmp_path / "ceiling.npy").write_bytes(HEADERS[case])
    tracemalloc.start()
    with pytest.raises(
        SubmissionError, match=r"ceiling\.npy: expected a \.npy array of one ceiling a target \("
    ):
        load_ceiling(tmp_path / "ceiling.npy")
    for member in ("values.npy", "kind.npy", "ids.npy"):
        path = packed(tmp_path / "x.npz", {**good, member: HEADERS[case]}, zipfile.ZIP_DEFLATED)
        (fault,) = check(path, tmp_path / "sample.csv")
        assert f"x.npz: the file is truncated, damaged or not an npz ({member}: " in fault
    for read in (lambda path: load_regions(path, NAMES), lambda path: load_repeats(path, NAMES, NAMES)):
        with pytest.raises(SubmissionError, match=r"x\.npz: the file is truncated, damaged or not an npz"):
            read(
                packed(
                    tmp_path / "x.npz", dict.fromkeys(("values.npy", "ids.npy", "targets.npy"), HEADERS[case])
                )
            )
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


def changed(content: bytes, local: int, central: int, value: int) -> bytes:
    """A byte of every member's header in a zip, and of its entry at the end."""
    found = bytearray(content)
    for mark, offset in ((b"PK\3\4", local), (b"PK\1\2", central)):
        at = found.find(mark)
        while at >= 0:
            found[at + offset] = value
            at = found.find(mark, at + 4)
    return bytes(found)


@pytest.mark.parametrize(("local", "central", "value"), [(6, 8, 1), (8, 10, 99), (4, 6, 200), (8, 10, 14)])
def test_archives_that_cannot_be_unpacked(local, central, value, good, tmp_path):
    """Encrypted, packed by unknown methods, of a version to come, and named LZMA though stored."""
    content = changed((tmp_path / "good.npz").read_bytes(), local, central, value)
    (tmp_path / "x.npz").write_bytes(content)
    (fault,) = check(tmp_path / "x.npz", tmp_path / "sample.csv")
    assert "x.npz: the file is truncated, damaged or not an npz (" in fault
    inner = packed(tmp_path / "inner.zip", {"x.csv": (tmp_path / "sample.csv").read_bytes()})
    (tmp_path / "x.zip").write_bytes(changed(inner.read_bytes(), local, central, value))
    assert len(check(tmp_path / "x.zip", tmp_path / "sample.csv")) == 1


def test_an_archive_of_gigabytes_of_zeros_is_not_unpacked(good, tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("values.npy", "w", force_zip64=True) as file,
    ):
        file.write(npy(f"{{'descr': '|i1', 'fortran_order': False, 'shape': ({300 << 20},), }}", b""))
        for _ in range(300):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    with pytest.raises(
        SubmissionError, match=r"bytes would unpack to 314,572,928; a file like this is not read"
    ):
        read_npz(tmp_path / "x.npz")
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()


def test_a_zip_may_hold_the_folder_of_its_csv(tmp_path):
    (tmp_path / "sample.csv").write_text("id,v\na,0\nb,0\n")
    path = packed(
        tmp_path / "x.zip", {"x/": b"", "x/sub.csv": b"id,v\na,1\nb,2\n", "__MACOSX/x/._sub.csv": b""}
    )
    assert check(path, tmp_path / "sample.csv") == []


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "1", '"x"', "{", '{"a": 1e9999'])
def test_provenance_of_another_shape(text, good, tmp_path):
    content = io.BytesIO()
    np.lib.format.write_array(content, np.array(text))
    path = packed(tmp_path / "x.npz", {**good, "provenance.npy": content.getvalue()})
    (fault,) = check(path, tmp_path / "sample.csv")
    assert "x.npz: provenance: expected " in fault


@pytest.mark.parametrize("weight", [10**400, "heavy", None, [1], {"a": 1}])
def test_a_record_of_another_shape_is_explained_by_a_message(weight, good, tmp_path):
    one = Predictions.load(tmp_path / "good.npz")
    path = write(mean([one, one]), tmp_path / "sub.csv")
    side = tmp_path / "sub.csv.provenance.json"
    record = json.loads(side.read_text())
    record["provenance"]["ensemble"][0]["weight"] = weight
    side.write_text(json.dumps(record))
    found = CliRunner().invoke(main, ["explain", str(path)])
    assert found.exit_code == 1
    assert isinstance(found.exception, SystemExit)
    assert "sub.csv.provenance.json: provenance: it is not built as expected (" in found.stderr


# The kind: JSON escapes that are half of a character; no file can hold it, and no terminal can show it.
HALF = r"\ud83d"


@pytest.mark.parametrize("whole", [False, True])
def test_json_with_half_a_character(whole, good, tmp_path):
    name = HALF + (r"\ude00" if whole else "")
    questions, annotations, results = (tmp_path / f"{what}.json" for what in ("q", "a", "r"))
    questions.write_text('{"questions": [{"question_id": "' + name + '"}]}')
    one = '{"question_id": 1, "answer_type": "' + name + '", "question_type": "x", "answers": '
    annotations.write_text('{"annotations": [' + one + json.dumps([{"answer": "x"}] * 10) + "}]}")
    results.write_text('[{"question_id": 1, "answer": "x"}]')
    said = [
        CliRunner().invoke(main, ["check", str(results), "--against", str(questions)]),
        CliRunner().invoke(main, ["vqa", str(results), str(annotations)]),
    ]
    for result, file in zip(said, (questions, annotations), strict=True):
        assert isinstance(result.exception, SystemExit | None), repr(result.exception)
        assert (f"{file}: expected JSON (it holds half a character, {HALF})" in result.output) != whole
    path = packed(tmp_path / "x.npz", {**good, "provenance.npy": npy_of('{"run": "' + name + '"}')})
    result = CliRunner().invoke(main, ["explain", str(path)])
    assert (result.exit_code, HALF in result.output) == ((0, False) if whole else (1, True))


def npy_of(value: str) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array(value))
    return buffer.getvalue()
