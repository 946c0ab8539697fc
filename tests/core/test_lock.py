"""One process at a path: who holds it is said, and a process that is no more holds nothing."""

import json
import os
import platform
import subprocess
import sys

import pytest

from jaxlab.core import lock
from jaxlab.core.folders import made_whole
from jaxlab.core.lock import locked
from jaxlab.core.types import UserError


@pytest.fixture
def gone() -> int:
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture(params=["locks", "none"])
def disk(request, monkeypatch):
    """One that has locks, and one, such as some NFS, that refuses them."""

    def refused(*_):
        raise OSError(37, "No locks available")

    if request.param == "none":
        monkeypatch.setattr(lock.fcntl, "flock", refused)


def test_a_second_one_is_refused_and_told_who_is_there(tmp_path, disk):
    run = tmp_path / "runs/mine"
    with locked(run / "lock", run):
        with pytest.raises(UserError) as refused, locked(run / "lock", run):
            pytest.fail("two at once")
        assert f"{run} is in use: process {os.getpid()} on {platform.node()} has been at it since" in str(
            refused.value
        )
        assert str(run / "lock") in str(refused.value)
    assert not (tmp_path / "runs").exists(), "nothing was kept in it"


@pytest.mark.parametrize("text", ["", "{", "[1]", "[" * 4000, '{"pid": "x"}', '{"pid": 1e400}', "gone"])
def test_what_a_killed_process_left_is_taken_over(tmp_path, disk, gone, text):
    record = json.dumps({"pid": gone, "host": platform.node(), "since": "then"})
    text = record if text == "gone" else text.replace("}", f', "host": "{platform.node()}"}}')
    (tmp_path / "lock").write_text(text)
    with locked(tmp_path / "lock", tmp_path):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_on_a_disk_without_locks_another_machine_is_believed(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "fcntl", None)
    (tmp_path / "lock").write_text(json.dumps({"pid": 3, "host": "elsewhere", "since": "then"}))
    with pytest.raises(UserError, match=r"process 3 on elsewhere.*if that process is no more, remove"):
        locked(tmp_path / "lock", tmp_path).__enter__()


@pytest.mark.parametrize("inside", ["lock", "a/b/lock"])
def test_a_plain_file_where_a_folder_belongs_is_one_message(tmp_path, inside):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match=r"run could not be written \(Not a directory|File exists\)"):
        locked(tmp_path / "file" / inside, tmp_path / "file/run").__enter__()
    assert (tmp_path / "file").read_text() == "mine"


def test_a_link_in_somebodys_run_directory_is_not_written_through(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "lock").symlink_to(tmp_path / "mine")
    with pytest.raises(UserError, match="run could not be written"):
        locked(tmp_path / "lock", tmp_path / "run").__enter__()
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_folder_appears_whole_or_not_at_all(tmp_path):
    """And what a killed process left of it goes."""
    (tmp_path / "new.partial").mkdir()
    (tmp_path / "new.partial/old").write_text("left")

    def stopped():
        with made_whole(tmp_path / "new") as folder:
            (folder / "half").write_text("1")
            raise RuntimeError("in between")

    with pytest.raises(RuntimeError, match="in between"):
        stopped()
    assert list(tmp_path.iterdir()) == []
    with made_whole(tmp_path / "new") as folder:
        (folder / "whole").write_text("1")
        assert not (tmp_path / "new").exists()
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == [
        "new",
        "new/whole",
    ]
