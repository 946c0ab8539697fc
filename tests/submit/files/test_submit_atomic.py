"""Files that are written whole or not at all, and what killed processes leave of them."""

import os
import time

import pytest

from submit import SubmissionError
from submit.files.atomic import atomic, atomic_folder


@pytest.mark.parametrize("name", ["a.csv", "a[b]*?.csv"])
def test_what_a_killed_process_left_goes_a_day_later(tmp_path, name):
    """What another one may be writing stays, and so does what is of another file."""
    days = {f".{name}.1.tmp": 2, f".{name}.2.tmp": 0, ".ab.csv.3.tmp": 2, f"{name}.4.tmp": 2}
    for left, old in days.items():
        (tmp_path / left).write_text("half")
        os.utime(tmp_path / left, (time.time() - old * 86400 - 60,) * 2)
    with atomic(tmp_path / name) as file:
        file.write(b"whole")
    assert {path.name for path in tmp_path.iterdir()} == {name, *list(days)[1:]}
    assert (tmp_path / name).read_bytes() == b"whole"


def test_so_does_what_it_left_of_a_folder(tmp_path):
    for left, old in ((".a.1.tmp", 2), (".a.2.tmp", 0)):
        (tmp_path / left / "within").mkdir(parents=True)
        os.utime(tmp_path / left, (time.time() - old * 86400 - 60,) * 2)
    with atomic_folder(tmp_path / "a") as made:
        (made / "x").write_text("whole")
    assert {path.name for path in tmp_path.iterdir()} == {"a", ".a.2.tmp"}


def test_two_that_write_the_same_leave_one_of_both_whole(tmp_path):
    """Also processes of one number, as those of containers that share a disk."""
    with atomic(tmp_path / "a.csv") as first, atomic(tmp_path / "a.csv") as second:
        first.write(b"first" * 3)
        second.write(b"second")
    assert (tmp_path / "a.csv").read_bytes() == b"first" * 3

    def both() -> None:
        with atomic_folder(tmp_path / "b") as one, atomic_folder(tmp_path / "b") as other:
            (one / "x").write_text("one")
            (other / "x").write_text("other")

    with pytest.raises(SubmissionError, match="could not be written"):
        both()
    assert (tmp_path / "b/x").read_text() == "other"
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "b"}


@pytest.mark.parametrize("name", ["file/a.csv", "file/b/a.csv", "a" * 300 + ".csv"])
def test_a_disk_that_refuses_is_one_message(tmp_path, name):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SubmissionError, match="could not be written"), atomic(tmp_path / name):
        pytest.fail("it was opened")
