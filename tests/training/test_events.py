"""Event files, read back by protocol buffers and checksums that are not ours; and what writing them may not import."""

import os
import struct
import subprocess
import sys

import pytest
from tensorboardX.crc32c import crc32c
from tensorboardX.proto.event_pb2 import Event, SessionLog

from jaxlab.training.events import EventFile, seconds
from jaxlab.training.journal import Journal


def masked(data: bytes) -> bytes:
    """The checksum as TFRecord stores it (tensorflow/core/lib/hash/crc32c.h)."""
    crc = crc32c(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def events(folder) -> list[Event]:
    (file,) = folder.iterdir()
    data, place, found = file.read_bytes(), 0, []
    while place < len(data):
        length = data[place : place + 8]
        assert data[place + 8 : place + 12] == masked(length)
        end = place + 12 + struct.unpack("<Q", length)[0]
        assert data[end : end + 4] == masked(data[place + 12 : end])
        found.append(Event.FromString(data[place + 12 : end]))
        place = end + 4
    return found


def test_scalars_come_back(tmp_path):
    written = [
        ("step/loss", 0.1, 1),
        ("validation/r", -3.25, 300),
        ("größe", 1e39, 2**40),
        ("x", float("nan"), 0),
    ]
    file = EventFile(tmp_path / "events")
    for name, value, step in written:
        file.scalar(name, value, step)
    file.flush()
    first, *read = events(tmp_path / "events")
    assert first.file_version == "brain.Event:2"
    assert first.wall_time > 1.7e9
    assert [(e.summary.value[0].tag, e.step) for e in read] == [(name, step) for name, _, step in written]
    values = [e.summary.value[0].simple_value for e in read]
    assert values == pytest.approx([0.1, -3.25, float("inf"), float("nan")], nan_ok=True)
    file.close()
    (file,) = (tmp_path / "events").iterdir()
    assert file.name.startswith("events.out.tfevents.1")  # TensorBoard looks for `tfevents`


def test_a_resumed_run_hides_what_was_written_past_its_step(tmp_path):
    journal = Journal(tmp_path, 12)
    journal.write(13, 1, "step", {"loss": 0.5})
    journal.close()
    _, start, scalar = events(tmp_path / "events")
    assert (start.step, start.session_log.status) == (13, SessionLog.START)
    assert (scalar.step, scalar.summary.value[0].tag) == (13, "step/loss")


FAKE = "raise RuntimeError('torch was imported')"
PROGRAM = """
import sys, pathlib
import jaxlab.cli.main, jaxlab.runs.api
from jaxlab.training.journal import Journal
journal = Journal(pathlib.Path(sys.argv[1]), 0)
journal.write(1, 0, "step", {"loss": 1.0})
journal.close()
assert "torch" not in sys.modules
"""


@pytest.mark.slow
def test_torch_is_never_imported(tmp_path):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch/__init__.py").write_text(FAKE)
    path = os.pathsep.join([str(tmp_path), *sys.path])
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "run")]
    (tmp_path / "run").mkdir()
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 0, done.stderr


def test_time_is_read_back_from_event_files(tmp_path):
    def record(time):
        data = b"\x09" + struct.pack("<d", time) + b"\x10\x01"
        return struct.pack("<Q", len(data)) + b"\0" * 4 + data + b"\0" * 4

    (tmp_path / "events.out.tfevents.1.a.1").write_bytes(record(100.0) + record(130.5) + record(160.0)[:-7])
    (tmp_path / "events.out.tfevents.2.a.1").write_bytes(record(500.0) + record(510.0))
    (tmp_path / "events.out.tfevents.3.a.1").write_bytes(b"another program's")
    assert seconds(tmp_path) == pytest.approx(30.5 + 10)
    assert seconds(tmp_path / "none") is None
