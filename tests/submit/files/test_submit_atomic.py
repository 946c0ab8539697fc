"""Files that are written whole or not at all, and what killed processes leave of them."""

import os
import time

import pytest

from submit import SubmissionError
from submit.files.atomic import atomic


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


@pytest.mark.parametrize("name", ["file/a.csv", "file/b/a.csv", "a" * 300 + ".csv"])
def test_a_disk_that_refuses_is_one_message(tmp_path, name):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SubmissionError, match="could not be written"), atomic(tmp_path / name):
        pytest.fail("it was opened")
