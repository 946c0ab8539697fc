"""What a report says of damaged and strange files, and of bad input."""

import json
import shutil
from dataclasses import replace

import pytest
from made import invoke
from tiny import TINY

from jaxlab.core.config import to_json
from jaxlab.core.types import UserError
from jaxlab.report import frame
from jaxlab.report.results import facts
from jaxlab.report.results.reading import read
from jaxlab.report.results.report import report
from jaxlab.training.rundir import RunDirectory


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda run: (run / "predictions" / "validation.npz").write_bytes(b"torn"), "no predictions of labelled"),
        (lambda run: (run / "metrics.jsonl").write_text(""), "n0"),
        (lambda run: (run / "run.json").unlink(), "it has no run.json"),
        (lambda run: (run / "checkpoints" / "12" / "meta.json").write_text("{"), "none of the 1 checkpoints"),
        (lambda run: (run / "config.json").write_text(
            '{"schema": 1, "experiment": {"type": "Unheard", "a": 1}}'), "Unheard"),
    ],
)  # fmt: skip
def test_what_is_damaged_says_so_in_its_place(numbered, tmp_path, monkeypatch, harm, words):
    run = tmp_path / "run"
    shutil.copytree(numbered[2][0], run)
    harm(run)
    before = sorted((file, file.stat().st_mtime_ns) for file in run.rglob("*"))
    monkeypatch.setattr("jaxlab.report.drawing._saved", lambda *_: b"<svg></svg>")
    page = report([run], quick=True).html()
    assert words in page
    assert sorted((file, file.stat().st_mtime_ns) for file in run.rglob("*")) == before, "nothing is written"


def test_of_many_runs_each_says_what_is_not_shown_of_it(numbered, tmp_path, monkeypatch):
    run = tmp_path / "torn"
    shutil.copytree(numbered[2][0], run)
    (run / "predictions" / "validation.npz").unlink()
    monkeypatch.setattr("jaxlab.report.results.report._IN_FULL", 1)
    monkeypatch.setattr("jaxlab.report.results.report.beside", lambda *_: ())
    (section,) = report([numbered[2][0], run], quick=True).sections
    assert section.title.startswith("What is not shown of ")
    assert "no predictions of labelled samples" in section.html()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("data.rot=FOLDER", r"--set data.rot=FOLDER: Arrays has no field 'rot'; nearest: root"),
        ("split.seed=1", r"found what it was trained with changed \(split.seed: 0 -> 1\)"),
    ],
)
def test_a_setting_that_a_run_does_not_take_ends_the_command(tmp_path, setting, words):
    """A page that has a sentence of it somewhere would look as if it had been taken."""
    RunDirectory(tmp_path).create(to_json(TINY), None, {})
    with pytest.raises(UserError, match=words):
        read(tmp_path, settings=[setting])
    assert read(tmp_path, settings=["data.root=elsewhere"]).experiment.data.root == "elsewhere"


def test_bad_input_is_one_sentence(numbered, tmp_path):
    run = numbered[2][0]
    page = tmp_path / "page.html"
    assert "expected --out FILE.html, --pictures FOLDER" in invoke("report", run, code=1).output
    assert "expected mlflow, mlflow:URI or wandb" in invoke("report", run, "--to", "comet", code=1).output
    assert "expected a file that ends in .html" in invoke("report", run, "--out", "page.pdf", code=1).output
    assert "not a run directory" in invoke("report", tmp_path, "--out", page, code=1).output
    assert "expected two runs or more" in invoke("compare", run, code=1).output
    places = tmp_path / "places.csv"
    places.write_text("target,x,y\nn0,1,2\n")
    refused = invoke("report", run, "--quick", "--out", page, "--coordinates", places, code=1).output
    assert "expected coordinates of 6 targets, found none of 5 of them" in refused
    assert not page.exists()
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "file").touch()
    assert "there is something already" in invoke("report", run, "--pictures", taken, code=1).output


def places_in(value, at=()):
    """Where values lie in JSON."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*at, key)
            yield from places_in(item, (*at, key))


def test_files_of_strangers_may_hold_anything(numbered):
    """Whatever stands where in run.json and config.json, facts are told or left out."""
    reading = read(numbered[2][0])
    for name in ("config", "info"):
        whole = json.loads(json.dumps(getattr(reading, name)))
        for place in places_in(whole):
            for value in (None, 3, "x", [], {}, [3], {"a": 3}):
                changed = json.loads(json.dumps(whole))
                inner = changed
                for key in place[:-1]:
                    inner = inner[key]
                inner[place[-1]] = value
                assert list(facts.facts(replace(reading, **{name: changed}), None))
                facts.changes(whole, changed)


def test_text_of_a_page_is_escaped():
    text = frame.text("a<b>&\"'\x1b\udc80")
    assert text == "a&lt;b&gt;&amp;&quot;&#x27;\\x1b?"
