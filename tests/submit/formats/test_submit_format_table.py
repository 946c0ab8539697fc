"""The table of formats: what the commands say and accept is what stands in it."""

from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from submit import Predictions, SubmissionError, check
from submit.cli.main import main
from submit.formats import kaggle, table
from submit.formats.format import Format
from submit.formats.table import FORMATS


def helped(command: str) -> str:
    return CliRunner().invoke(main, [command, "--help"], terminal_width=200).stdout


def test_names_are_those_of_the_option_and_in_its_order():
    names = [form.name for form in FORMATS]
    assert names == ["kaggle", "algonauts2023", "algonauts2021", "vqa", "vizwiz", "sensorium"]
    assert f"--format [{'|'.join(names)}]" in helped("write")


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_a_format_stands_in_every_help(form: Format):
    assert all(line in helped("write") and len(line) <= 64 for line in form.usage)
    assert form.title in helped("check")
    assert form.against in helped("check")
    assert all((suffix[1:] or "folder") in check.__doc__ for suffix in form.reads)
    assert all((suffix or "folder") in helped("write") for suffix in form.writes)


def _write_lines(predictions, path, against):
    path.write_text("".join(f"{name}\n" for name in Predictions.load(predictions).ids))
    return [path]


LINES = Format(
    name="lines",
    writes=(".txt",),
    reads=(".txt",),
    recognise=lambda file: file.suffix == ".txt",
    write=_write_lines,
    check=lambda path, against: [] if path.read_text() else ["it is empty"],
    against="nothing",
    title="lines",
    usage=("lines",),
)


def test_one_line_adds_a_format(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("")
    with pytest.raises(SubmissionError, match=r"folder or a file \.csv, .*\.pkl or \.json\."):
        check(path)
    monkeypatch.setattr(table, "FORMATS", (*FORMATS, LINES))
    assert check(path) == ["it is empty"]
    Predictions(np.array(["x"]), np.zeros((1, 1)), np.array(["t"])).save(tmp_path / "one.npz")
    assert LINES.write(tmp_path / "one.npz", path, None) == [path]
    assert check(path) == []
    with pytest.raises(SubmissionError, match=r"\.json or \.txt\."):
        check(tmp_path / "a.bin")


def test_the_last_format_that_recognises_a_file_has_it(tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("id,n\nx,1\n")
    particular = replace(LINES, recognise=lambda file: file.header == ["id", "n"], check=lambda *_: ["mine"])
    monkeypatch.setattr(table, "FORMATS", (*FORMATS, particular))
    assert check(tmp_path / "a.csv", tmp_path / "a.csv") == ["mine"]
    monkeypatch.setattr(table, "FORMATS", (particular, *FORMATS))
    assert check(tmp_path / "a.csv", tmp_path / "a.csv") == []
    assert table.format_of(table.SubmissionFile(tmp_path / "a.csv")) is kaggle.FORMAT
