"""One process at a path: who holds it is said, and a process that is no more holds nothing."""

import json
import os
import platform
import shlex
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest

from jaxlab.core import holder, lock
from jaxlab.core.folders import made_whole
from jaxlab.core.lock import InUse, check_held, in_turn, locked
from jaxlab.core.types import FileWarning, UserError
from jaxlab.training.rundir import RunDirectory

pytestmark = pytest.mark.filterwarnings("ignore::jaxlab.core.types.FileWarning")


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
        monkeypatch.setattr(lock, "_SETTLED", 0.01)


def test_a_second_one_is_refused_and_told_who_is_there(tmp_path, disk):
    run = tmp_path / "runs/mine"
    with locked(run / "lock", run):
        with pytest.raises(UserError) as refused, locked(run / "lock", run):
            pytest.fail("two at once")
        who = f"{run} is in use: process {os.getpid()} on {platform.node()} ("
        assert str(refused.value).startswith(who)
        assert ") has been at it since" in str(refused.value)
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
    """Of an earlier version, which gives no signs of life."""
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


@pytest.fixture
def quick(monkeypatch):
    """Signs of life every 10 ms, watched for 0.2 s."""
    for name, seconds in (("BEATS", 0.01), ("STALE", 0.2), ("WATCHED", 0.2)):
        monkeypatch.setattr(holder, name, seconds)


ELSEWHERE = {"pid": 3, "host": "spot-2", "since": "then", "command": "jaxlab train a.py", "beat": 1}


def test_a_lock_that_another_machine_left_is_taken_over_with_a_word(tmp_path, disk, quick):
    (tmp_path / "lock").write_text(json.dumps(ELSEWHERE))
    os.utime(tmp_path / "lock", (0, time.time() - 3 * 3600 - 5))
    with warnings.catch_warnings(record=True, action="always") as said, locked(tmp_path / "lock", tmp_path):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
    words = [str(one.message) for one in said if one.category is FileWarning]
    assert words[0].startswith("watching for signs of life of process 3 on spot-2")
    left = "was left by process 3 on spot-2 (jaxlab train a.py), at it since then, of which there was no sign for 3 h"
    assert words[1] == f"{tmp_path} {left}; taken over"


@pytest.mark.parametrize("clock", [0, -7 * 3600, 7 * 3600], ids=["right", "behind", "ahead"])
def test_whoever_gives_signs_of_life_elsewhere_is_left_alone(tmp_path, disk, quick, clock):
    """Whatever the two clocks say: a disk may lock for each machine alone."""
    over = threading.Event()

    def live():
        for beat in range(1000):
            (tmp_path / "next").write_text(json.dumps({**ELSEWHERE, "beat": beat}))
            (tmp_path / "next").replace(tmp_path / "lock")
            os.utime(tmp_path / "lock", (0, time.time() + clock))
            if over.wait(0.02):
                return

    thread = threading.Thread(target=live)
    thread.start()
    time.sleep(0.05)
    try:
        with pytest.raises(
            InUse, match=r"process 3 on spot-2 \(jaxlab train a.py\) has been at it since then"
        ):
            locked(tmp_path / "lock", tmp_path).__enter__()
    finally:
        over.set()
        thread.join()


def test_who_does_not_wait_goes_by_the_age(tmp_path, disk):
    (tmp_path / "lock").write_text(json.dumps(ELSEWHERE))
    with pytest.raises(InUse):
        locked(tmp_path / "lock", tmp_path, patient=False).__enter__()
    os.utime(tmp_path / "lock", (0, time.time() - 61))
    with locked(tmp_path / "lock", tmp_path, patient=False):
        pass


def test_a_number_that_was_given_again_is_not_taken_for_the_process(tmp_path, monkeypatch):
    """Of a disk without locks: ps says when a process began, /proc in ticks."""
    monkeypatch.setattr(lock, "fcntl", None)
    mine = holder.record()
    began = subprocess.run(["ps", "-o", "etimes=", "-p", str(os.getpid())], capture_output=True, text=True)
    if began.returncode == 0 and mine["began"] is not None:
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        ago = uptime - mine["began"] / os.sysconf("SC_CLK_TCK")
        assert abs(ago - float(began.stdout)) < 3
    (tmp_path / "lock").write_text(json.dumps(mine))
    with pytest.raises(InUse):
        locked(tmp_path / "lock", tmp_path).__enter__()
    if mine["began"] is None:
        pytest.skip("this system does not say when a process began")
    (tmp_path / "lock").write_text(json.dumps({**mine, "began": mine["began"] - 1}))
    with locked(tmp_path / "lock", tmp_path):
        pass


def test_signs_of_life_are_given(tmp_path, quick):
    with locked(tmp_path / "lock", tmp_path):
        ends = time.monotonic() + 5
        while json.loads((tmp_path / "lock").read_text())["beat"] < 2:
            assert time.monotonic() < ends
            time.sleep(0.01)


def test_a_lock_that_was_removed_is_made_again_or_another_has_it(tmp_path):
    with locked(tmp_path / "lock", tmp_path):
        (tmp_path / "lock").unlink()
        check_held(tmp_path)
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
        with pytest.raises(InUse, match="is in use"):
            locked(tmp_path / "lock", tmp_path).__enter__()
        (tmp_path / "lock").unlink()
        (tmp_path / "lock").write_text("another's")
        with pytest.raises(
            InUse, match="was removed while it was in use here, and another process has taken it"
        ):
            check_held(tmp_path)
    assert (tmp_path / "lock").read_text() == "another's", "it is not ours to remove"
    check_held(tmp_path)


def test_what_was_moved_away_is_not_made_anew(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    with locked(run / "lock", run):
        run.rename(tmp_path / "elsewhere")
        with pytest.raises(UserError, match="run was moved or removed while it was in use here"):
            RunDirectory(run).create({}, None, {})
    assert not run.exists()


def test_what_takes_moments_waits_for_another(tmp_path):
    order = []

    def second():
        with in_turn(tmp_path / "lock", tmp_path):
            order.append("second")

    with locked(tmp_path / "lock", tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.1)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    with locked(tmp_path / "lock", tmp_path), pytest.raises(InUse):
        in_turn(tmp_path / "lock", tmp_path, seconds=0).__enter__()


def test_a_full_disk_leaves_no_empty_lock(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(lock.os, "pwrite", full)
    with pytest.raises(UserError, match=r"run could not be written \(No space left on device\)"):
        locked(tmp_path / "run/lock", tmp_path / "run").__enter__()
    assert list(tmp_path.iterdir()) == []


def test_a_password_on_the_command_line_stays_out_of_it(monkeypatch):
    urls = ["postgresql://me:secret@host/db", "s3://bucket/run@2", "https://token@host/x"]
    monkeypatch.setattr(sys, "argv", ["/bin/jaxlab", "sweep", f"--storage={urls[0]}", *urls[1:]])
    shown = "'--storage=postgresql://***@host/db' s3://bucket/run@2 'https://***@host/x'"
    assert shlex.split(holder.record()["command"]) == ["jaxlab", "sweep", *shlex.split(shown)]
    monkeypatch.setattr(sys, "argv", ["/lib/jaxlab/__main__.py", "train", "a b.py"])
    assert holder.record()["command"] == "jaxlab train 'a b.py'"
