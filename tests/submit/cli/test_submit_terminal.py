"""Names are printed as they are, whoever gave them and whatever the terminal.

The kinds: names that rich takes for markup (`[/b]`, an error; `[red]`, gone) or an emoji, that the terminal takes for a
command (escape sequences), or that its encoding lacks.
"""

import io
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from submit import Predictions, write
from submit.cli.main import main
from submit.cli.terminal import plain_console

NAMES = ["[/b]", "[red]", ":cat:", "\x1b[31m", "\N{GREEK SMALL LETTER ALPHA}"]
SHOWN = ["[/b]", "[red]", ":cat:", "\\x1b[31m", "\N{GREEK SMALL LETTER ALPHA}"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Predictions of five targets, and of five classes, of these names; regions, a solution."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    ids, targets = np.array([f"i{k}" for k in range(12)]), np.array(NAMES)
    truth = rng.normal(size=(12, 5))
    write(Predictions(ids, truth, targets), "solution.csv")
    for name in ("a[red].npz", "b.npz"):
        made = {"run": NAMES[int(name == "b.npz")], "scores": {one: {"r": 0.5} for one in NAMES}}
        Predictions(ids, truth + rng.normal(size=(12, 5)), targets, provenance=made).save(name)
    lines = "".join(f"{name},{name}\n" for name in NAMES)
    (tmp_path / "rois.csv").write_text(f"target,roi\n{lines}", "utf-8")
    Predictions(ids, rng.normal(size=(12, 5)), targets, "logits").save("classes.npz")
    labels = "".join(f"i{k},{NAMES[k % 5]}\n" for k in range(12))
    (tmp_path / "labels.csv").write_text(f"id,label\n{labels}", "utf-8")
    return tmp_path


COMMANDS = {
    "rosetta a[red].npz solution.csv --rois rois.csv": SHOWN,
    "rosetta classes.npz labels.csv": SHOWN,
    "probe classes.npz labels.csv": [],
    "compare a[red].npz b.npz --truth solution.csv": ["a[red].npz"],
    "explain a[red].npz": SHOWN,
}


@pytest.mark.parametrize("command", COMMANDS)
def test_names_are_shown_as_they_are(folder, command):
    result = CliRunner().invoke(main, command.split())
    assert isinstance(result.exception, SystemExit | None), repr(result.exception)
    assert all(name in result.output for name in COMMANDS[command]), result.output
    assert "\x1b" not in result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_a_terminal_without_the_letters_shows_their_numbers(folder, command, monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), "ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", out)
    with pytest.raises(SystemExit):
        main(command.split())
    said = out.buffer.getvalue().decode("ascii")
    assert said
    assert (r"\u03b1" in said) == bool(COMMANDS[command][1:])


def test_a_message_has_no_commands(folder):
    result = CliRunner().invoke(main, ["score", "\x1b[31m.npz", "solution.csv"])
    assert result.exit_code == 1
    assert "\\x1b[31m.npz: " in result.output
    assert "\x1b" not in result.output


def test_what_is_printed_alone_likewise():
    out = io.StringIO()
    console = plain_console()
    console.file = out
    console.print("".join(NAMES))
    assert out.getvalue().replace("\n", "") == "".join(SHOWN)
