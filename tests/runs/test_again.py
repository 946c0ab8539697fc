"""A command that is started again: by what ended it, by what came of it, and by what was asked meanwhile."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import jaxlab
from jaxlab.cli.main import main
from jaxlab.runs.again import checkpoints, jaxlab_here, keep_going

pytestmark = pytest.mark.filterwarnings(
    "ignore:os.fork:RuntimeWarning"
)  # where JAX is imported, as by other tests

ROOT = str(Path(jaxlab.__file__).parents[1])

# What each start does is its number's turn: a checkpoint of that step or none, and then its end.
PROGRAM = """
import os, pathlib, signal, sys, time
run, *turns = sys.argv[1:]
run = pathlib.Path(run)
begun = run / "begun"
turn = len(begun.read_text()) if begun.exists() else 0
begun.write_text("x" * (turn + 1))
saves, end = turns[turn].split(",")
if saves == "saves":
    folder = run / "fold0/checkpoints" / str(turn)
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
if end == "waits":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
    (run / "ready").touch()
    time.sleep(60)
sys.exit(int(end)) if end.isdigit() else os.kill(os.getpid(), getattr(signal, end))
"""


@pytest.fixture
def started(tmp_path):
    """What became of a command whose starts take these turns: its exit code, how often it began, what was said."""

    def start(*turns):
        said: list[str] = []
        command = [sys.executable, "-S", "-c", PROGRAM, str(tmp_path), *turns]
        code = keep_going(lambda: command, tmp_path, said.append, pauses=(0.0,))
        return code, len((tmp_path / "begun").read_text()), said

    return start


def test_it_starts_again_until_it_is_done(started):
    code, starts, said = started("saves,SIGKILL", "saves,SIGABRT", "no,SIGKILL", "no,75", "no,0")
    assert (code, starts) == (0, 5)
    assert "was ended by SIGKILL, with 1 new checkpoints; it goes on in 0 s" in said[0]
    assert "was ended by SIGABRT" in said[1]
    assert "was ended by a signal, for which it saved, with no new checkpoints" in said[3]


def test_three_attempts_without_a_checkpoint_are_enough(started):
    code, starts, said = started("no,SIGKILL", "no,SIGKILL", "saves,SIGKILL", *["no,SIGKILL"] * 3)
    assert (code, starts) == (128 + signal.SIGKILL, 6)
    assert "given up, after 3 attempts without one. Mostly memory has run out" in said[-1]


@pytest.mark.parametrize("code", [0, 1, 2])
def test_what_would_come_again_is_the_end(started, code):
    assert started(f"saves,{code}") == (code, 1, [])


@pytest.mark.parametrize("moment", ["at work", "in a pause"])
def test_a_signal_is_passed_on_and_is_the_end(tmp_path, moment):
    turn = "no,waits" if moment == "at work" else "saves,SIGKILL"
    command = [sys.executable, "-S", "-c", PROGRAM, str(tmp_path), turn, "no,0"]
    before = signal.getsignal(signal.SIGTERM)
    over = threading.Event()

    def ask():
        while not ((tmp_path / "ready").exists() or said) and not over.wait(0.01):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    said: list[str] = []
    thread = threading.Thread(target=ask)
    thread.start()
    try:
        began = time.monotonic()
        assert keep_going(lambda: command, tmp_path, said.append, pauses=(30.0,)) == 75
        assert time.monotonic() - began < 20
    finally:
        over.set()
        thread.join()
    assert (tmp_path / "begun").read_text() == "x"
    assert signal.getsignal(signal.SIGTERM) == before


def test_only_whole_checkpoints_count(tmp_path):
    for name in ("checkpoints/3", "fold1/checkpoints/12", "checkpoints/6.partial", "checkpoints/note"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "manifest.json").touch()
    (tmp_path / "checkpoints/9").mkdir()
    assert checkpoints(tmp_path) == {"checkpoints/3", "fold1/checkpoints/12"}


@pytest.mark.parametrize("name", ["train", "sweep", "ablate"])
def test_the_command_is_the_same_one_without_the_option(monkeypatch, tmp_path, name):
    given = [name, "quickstart", "--run", str(tmp_path / "run"), "--auto-resume", "--stop-after", "1h"]
    seen = []

    def keep_going(command, run, say):
        seen.append((command(), run))
        return 75

    monkeypatch.setattr(sys, "argv", ["jaxlab", *given])
    monkeypatch.setattr("jaxlab.runs.again.keep_going", keep_going)
    assert CliRunner().invoke(main, given).exit_code == 75
    ((command, run),) = seen
    assert run == Path(given[3])
    ours = [sys.executable, "-P", "-m", "jaxlab"]
    assert command[:-1] == [*ours, *given[:4], "--stop-after", "1h", "--stop-after"]
    assert 3590 < int(command[-1].removesuffix("s")) <= 3600, "what is left of the time"
    refused = CliRunner().invoke(main, [name, "quickstart", "--auto-resume"])
    assert (refused.exit_code, refused.stderr[:46]) == (1, "error: --auto-resume: expected --run DIRECTORY")


def test_a_file_in_the_folder_is_not_taken_for_a_module_of_pythons(tmp_path, monkeypatch):
    (tmp_path / "signal.py").write_text("raise SystemExit('a signal of neurons')")
    monkeypatch.setattr(sys, "argv", ["/bin/jaxlab", "train"])
    done = subprocess.run(
        [*jaxlab_here(), "--version"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": ROOT},
    )
    assert (done.returncode, done.stderr) == (0, "")
    monkeypatch.setattr(sys, "argv", ["/clone/jaxlab/__main__.py", "train"])
    assert jaxlab_here()[1:] == ["-m", "jaxlab"], "of python -m jaxlab, which may find it in a clone alone"
