"""A run's JSON files that are cut short or rot are as they were written again; what somebody changed stays."""

import hashlib
import json
import os

import pytest

from jaxlab.core.types import FileWarning, UserError
from jaxlab.training.rundir import RunDirectory

CONFIG, INFO = {"type": "Experiment", "seed": 64}, {"data": {"fingerprint": "f"}}


@pytest.fixture
def run(tmp_path):
    rundir = RunDirectory(tmp_path / "run")
    rundir.create(CONFIG, None, INFO)
    return rundir


def rots(file, change):
    """The bytes are others; the times are those of before."""
    times = file.stat()
    file.write_bytes(change(file.read_bytes()))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


DAMAGE = {
    "cut": lambda raw: raw[:-9],
    "empty": lambda raw: b"",
    "no text": lambda raw: b"\xb0" + raw[1:],
    "another number": lambda raw: raw.replace(b"64", b"65").replace(b'"f"', b'"g"'),
    "another key": lambda raw: raw.replace(b"type", b"uype").replace(b"data", b"dbta"),
}


@pytest.mark.parametrize("name", ["config.json", "run.json"])
@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_file_is_as_it_was_written_again(run, name, what):
    file = run.path / name
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    rots(file, DAMAGE[what])
    damaged = file.read_bytes()
    read = run.config if name == "config.json" else run.info
    with pytest.warns(FileWarning, match=f"it is so again, from copies.json.*{name}.damaged"):
        found = read()
    assert found == CONFIG if name == "config.json" else found["data"] == INFO["data"]
    assert hashlib.sha256(file.read_bytes()).hexdigest() == before
    assert file.with_name(f"{name}.damaged").read_bytes() == damaged


def test_what_somebody_changed_stays_and_is_said_where_it_is_wrong(run):
    changed = json.loads((run.path / "config.json").read_text())
    changed["experiment"]["seed"] = 7
    (run.path / "config.json").write_text(json.dumps(changed))
    assert run.config()["seed"] == 7
    (run.path / "run.json").write_text('{"schema": 1, "data": 3}')
    with pytest.raises(UserError, match=r"run.json: data: it should be a valid dictionary"):
        run.info()


@pytest.mark.parametrize("copies", ["none", "damaged"])
def test_without_a_whole_copy_the_fault_is_said(run, copies):
    if copies == "none":
        (run.path / "copies.json").unlink()
    else:
        rots(run.path / "copies.json", lambda raw: raw.replace(b"Experiment", b"Expdriment"))
    rots(run.path / "config.json", DAMAGE["cut"])
    with pytest.raises(UserError, match=r"config.json is not whole JSON"):
        run.config()
    assert run.info()["data"] == INFO["data"]


def test_a_full_disk_leaves_the_program_of_before(run, monkeypatch):
    """A run's config.py may define parts of its network, which nothing else does."""
    run.create(CONFIG, "first = 1", INFO)

    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        run.create(CONFIG, "second = 2", INFO)
    assert (run.path / "config.py").read_text() == "first = 1"
    assert not list(run.path.glob("*.partial"))
