"""How commands end where the system refuses: one message each, no traceback."""

import logging
import subprocess
import sys
import types
import warnings

import pytest
from click.testing import CliRunner

from jaxlab.cli.main import _Commands
from jaxlab.core.terminal import stderr_console
from jaxlab.core.types import FileWarning


def command(function):
    group = _Commands("jaxlab")
    group.command("do")(function)
    return CliRunner().invoke(group, ["do"])


# The kind: what open, write and their like raise, wherever a command meets it.
REFUSED = {
    "No space left on device": OSError(28, "No space left on device", "runs/a/x.npy"),
    "Read-only file system": OSError(30, "Read-only file system", "runs/a"),
    "Permission denied": PermissionError(13, "Permission denied", "data.csv"),
    "Is a directory": IsADirectoryError(21, "Is a directory", "data.csv"),
    "Too many levels of symbolic links": OSError(40, "Too many levels of symbolic links", b"loop"),
    "File too large": OSError(27, "File too large"),
    "Input/output error": OSError(5, "Input/output error", "a", None, "b"),
}


def test_matplotlib_says_nothing_of_a_home_that_cannot_be_written():
    """What it does say is two lines of WARNING, of the folder for its fonts."""
    fonts = logging.getLogger("matplotlib")
    assert not command(lambda: print(fonts.isEnabledFor(logging.WARNING))).output.startswith("True")
    assert fonts.isEnabledFor(logging.WARNING)


@pytest.mark.parametrize("words", REFUSED)
def test_what_the_system_refuses_is_one_message(words):
    def do():
        raise REFUSED[words]

    result = command(do)
    assert result.exit_code == 1
    name = REFUSED[words].filename2 or REFUSED[words].filename or "the system"
    assert result.stderr == f"error: {name.decode() if isinstance(name, bytes) else name}: {words}\n"


def test_our_own_faults_keep_their_traceback():
    def do():
        raise KeyError("x")

    assert isinstance(command(do).exception, KeyError)


def test_ctrl_c_is_told_from_an_error():
    def do():
        raise KeyboardInterrupt

    result = command(do)
    assert (result.exit_code, result.stderr) == (130, "interrupted\n")


def test_a_warning_about_a_file_is_one_line_of_ours():
    def do():
        warnings.warn("metrics.jsonl:3 is no record", FileWarning, stacklevel=1)

    assert command(do).stderr == "warning: metrics.jsonl:3 is no record\n"


PROGRAM = "from jaxlab.cli.main import main; main(['configs', 'list'])"


@pytest.mark.parametrize(
    ("redirected", "code", "words"),
    [
        (">/dev/full", 1, "error: standard output could not be written (No space left on device)\n"),
        (">&-", 0, ""),
        ("| true", 0, ""),
    ],
)
def test_standard_output_that_takes_nothing(redirected, code, words):
    shell = f'{sys.executable} -c "{PROGRAM}" {redirected}'
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, words)


@pytest.mark.parametrize("module", ["jaxlab", "submit"])
def test_help_that_cannot_be_printed(module):
    shell = f"{sys.executable} -m {module} --help >/dev/full"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "standard output" in done.stderr


def test_names_that_the_terminal_cannot_show_are_shown_by_number(tmp_path):
    program = (
        "import click; from jaxlab.cli.main import main\n"
        "@main.command()\ndef do(): click.echo('caf\\xe9 \\u65e5 \\udcff')\n"
        "main(['do'])"
    )
    env = {"PYTHONIOENCODING": "latin-1", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, env=env, cwd=".")
    assert done.stdout == b"caf\xe9 \\u65e5 \\udcff\n", done.stderr


def test_words_that_nobody_hears_end_nothing(monkeypatch):
    class Closed:
        encoding = "utf-8"

        def write(self, text=""):
            raise OSError(5, "Input/output error")

        flush = write

    for stream in (Closed(), None):
        monkeypatch.setattr(sys, "stderr", stream)
        stderr_console().print("epoch 1")


@pytest.mark.parametrize("kind", [RuntimeError, AssertionError])
def test_devices_that_jax_has_not_are_one_message(kind, monkeypatch):
    """JAX_PLATFORMS=cuda where there is none ends in an assertion without words, a name that is none in an error."""
    from jax._src import xla_bridge

    def starts(words):
        raise kind(*words)

    words = ("Unable to initialize backend 'cuda'",) if kind is RuntimeError else ()
    there = types.FunctionType(starts.__code__, vars(xla_bridge), closure=starts.__closure__)
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    result = command(lambda: there(words))
    assert result.exit_code == 1
    said = words[0] if words else "AssertionError"
    assert result.stderr == (
        f"error: JAX does not start: {said} (with JAX_PLATFORMS=cuda); `jaxlab doctor` says what there is\n"
    )
    assert isinstance(command(lambda: starts(words)).exception, kind), "of another place it is ours"


def test_what_moves_the_cursor_is_written_out_in_a_warning_too():
    """As a lock may say it that somebody has left in a run directory."""

    def do():
        warnings.warn("left by \x1b[2Jprocess 4", FileWarning, stacklevel=1)

    assert command(do).stderr == "warning: left by \\x1b[2Jprocess 4\n"
