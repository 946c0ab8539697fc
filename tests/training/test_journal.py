"""metrics.jsonl: what a kill, an edit or a full disk leaves of it is read, named and kept."""

import json
import re
import warnings
import zlib
from pathlib import Path

import pytest

from jaxlab.core.types import FileWarning, UserError
from jaxlab.training import journal

RECORDS = [
    {"step": 1, "epoch": 1, "split": "step", "loss": 3.0},
    {"step": 2, "epoch": 1, "split": "validation", "loss": 2.0},
    {"step": 3, "epoch": 2, "split": "step", "loss": 1.0},
]
ONE, TWO, THREE = (json.dumps(record) + "\n" for record in RECORDS)


def summed(line: str) -> str:
    """As this version writes it."""
    return line[:-2] + f', "crc32": {zlib.crc32(line[:-1].encode())}}}\n'


SPACED = (
    '{"step":1,  "epoch": 1, "split": "step", "loss": 3.0e0}\r\n'  # a record as somebody else may write it
)
# The kind: a line that is no record of ours, however near to one.
BROKEN = ['{"step": 2, "epo\n', "\n", "[1, 2]\n", '{"step": 2}\n', '{"split": "step"}\n', "\udcff\0\n"]
BROKEN += ["[" * 5000 + "\n", '{"step": 2, "split": "step"}\n']
BROKEN += [
    TWO.replace(before, after)
    for before, after in [
        ('"step": 2', '"step": "2"'),
        ('"step": 2', '"step": -2'),
        ('"step": 2', '"step": 1' + "0" * 400),
        ('"epoch": 1', '"epoch": true'),
        ('"epoch": 1', '"epoch": null'),
        ('"validation"', "3"),
        ("2.0", '"2.0"'),
        ("2.0", "[2.0]"),
        ("2.0", "{}"),
        ("2.0", "true"),
        ("2.0", "1" + "0" * 400),
        ("2.0", "1" + "0" * 5000),
    ]
]


@pytest.fixture
def file(tmp_path: Path):
    """A metrics.jsonl of the lines given."""

    def write(*lines: str) -> Path:
        path = tmp_path / "metrics.jsonl"
        path.write_bytes("".join(lines).encode(errors="surrogateescape"))
        return path

    return write


def resumed(path: Path, step: int) -> bytes:
    """What is left as training goes on after `step`."""
    journal.Journal(path.parent, step).close()
    return path.read_bytes()


@pytest.mark.parametrize("line", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_line_is_named_and_stays(file, line: str) -> None:
    path = file(ONE, line, TWO)
    with pytest.warns(UserWarning, match=re.escape(f"{path}:2 is no record")) as caught:
        assert journal.read(path) == RECORDS[:2]
    assert len(caught) == 1
    before = path.read_bytes()
    assert resumed(path, 2) == before
    assert resumed(path, 1) == before[: -len(TWO)]


def test_what_is_no_file_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").mkdir()
    for does in (journal.read, lambda path: journal.append(path, RECORDS), lambda path: resumed(path, 1)):
        with pytest.raises(UserError, match=r"metrics.jsonl (cannot|could not) be .*Is a directory"):
            does(tmp_path / "metrics.jsonl")


def test_a_broken_line_is_said_once(file) -> None:
    path = file(ONE, BROKEN[0], TWO)
    with warnings.catch_warnings(record=True) as caught:
        warnings.resetwarnings()  # Python's own rule: once a place and message
        warnings.simplefilter("default")
        journal.read(path)
        journal.validations(path)
    assert len(caught) == 1


@pytest.mark.parametrize("rest", ['{"step": 2, "epo', "{", "\0\0\0"])
def test_a_torn_last_line_is_dropped_without_a_word(file, rest: str, recwarn) -> None:
    path = file(ONE, rest)
    assert journal.read(path) == RECORDS[:1]
    assert path.read_text() == ONE + rest, "reading changes nothing"
    journal.append(path, RECORDS[1:2])
    assert path.read_text() == ONE + summed(TWO)
    assert resumed(file(ONE, rest), 5) == ONE.encode()
    assert not recwarn.list


def test_a_last_line_that_lacks_its_end_alone_is_a_record(file) -> None:
    path = file(ONE, TWO[:-1])
    assert journal.read(path) == RECORDS[:2]
    journal.append(path, RECORDS[2:])
    assert path.read_text() == ONE + TWO + summed(THREE)
    assert resumed(file(ONE, TWO[:-1]), 2) == (ONE + TWO).encode()


def test_records_past_the_step_go_wherever_they_stand_and_the_rest_stays_byte_by_byte(file) -> None:
    """`evaluate` adds scores of an earlier step after those of later ones."""
    assert resumed(file(SPACED, THREE, TWO), 2) == (SPACED + TWO).encode()
    assert resumed(file(THREE), 2) == b""


def test_a_file_that_keeps_all_is_not_written_again(file) -> None:
    path = file(SPACED, TWO)
    before = path.stat()
    resumed(path, 2)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_what_is_added_while_training_goes_on_stands_between_whole_lines(tmp_path: Path) -> None:
    training = journal.Journal(tmp_path, 0)
    training.write(1, 1, "step", {"loss": 3.0})
    journal.append(tmp_path / "metrics.jsonl", RECORDS[1:2])  # before training has flushed
    training.write(3, 2, "step", {"loss": 1.0})
    training.close()
    assert journal.read(tmp_path / "metrics.jsonl") == RECORDS


def test_what_is_not_finite_is_null(tmp_path: Path) -> None:
    scores = {"pearson": float("nan"), "loss": float("inf")}
    path = tmp_path / "metrics.jsonl"
    journal.append(path, [{"step": 4, "epoch": 1, "split": "validation", **scores}])
    assert "NaN" not in path.read_text()
    assert journal.validations(path) == {4: {"pearson": None, "loss": None}}


def test_a_digit_that_has_rotted_is_no_score(tmp_path):
    writer = journal.Journal(tmp_path, 0)
    writer.write(3, 1, "validation", {"loss": 2.5, "pearson": 0.1891})
    writer.write(6, 2, "validation", {"loss": 2.25, "pearson": 0.2})
    writer.close()
    path = tmp_path / "metrics.jsonl"
    first = path.read_text().splitlines()[0]
    told = json.loads(first)
    assert told.pop("crc32") == zlib.crc32(json.dumps(told).encode())
    assert journal.validations(path) == {
        3: {"loss": 2.5, "pearson": 0.1891},
        6: {"loss": 2.25, "pearson": 0.2},
    }
    for before, after in (("0.1891", "0.1991"), ('"step": 3', '"step": 1'), ("crc32", "src32")):
        path.write_text(path.read_text().replace(before, after, 1))
        with pytest.warns(FileWarning, match=":1 is no record"):
            found = journal.validations(path)
        assert found == {6: {"loss": 2.25, "pearson": 0.2}}
        path.write_text(path.read_text().replace(after, before, 1))
