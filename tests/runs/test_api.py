"""What is refused before anything is predicted."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from tiny import TINY, task_of, trained_run

import jaxlab
from jaxlab.cli.main import main
from jaxlab.core.config import to_json
from jaxlab.core.types import UserError
from jaxlab.data import Images, Normalize
from jaxlab.data.sources.users_images import given_samples
from jaxlab.experiment import Folds, Objective
from jaxlab.heads import Linear
from jaxlab.losses import Mse
from jaxlab.objectives import KINDS
from jaxlab.runs.predict_checks import check_id_column, check_names
from jaxlab.training.rundir import RunDirectory
from submit import Predictions

SAMPLES = given_samples(np.zeros((3, 4, 4), np.uint8), "uint8")
ROWS = [f"{name}_{target}" for name in SAMPLES.ids for target in ("a", "b", "c")]


def run(kind: str) -> SimpleNamespace:
    path = SimpleNamespace(path="runs/x")
    primary = KINDS[kind]("a", "a", Linear(), Mse(), ("a", "b", "c"))
    return SimpleNamespace(test=(SAMPLES, None), targets=primary.targets, primary=primary, rundir=path)


def sample(folder, *lines: str):
    (folder / "sample.csv").write_text("\n".join(lines) + "\n")
    return folder / "sample.csv"


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        ("regression", ["id,c,a,b", *(f"{name},0,0,0" for name in SAMPLES.ids)]),
        ("regression", ["id,value", *(f"{row},0" for row in ROWS)]),
        ("regression", ["id,a,b,c", *(f"{name},0.2,0.3,0.5" for name in SAMPLES.ids)]),
        ("classification", ["id,a,b,c", *(f"{name},0.2,0.3,0.5" for name in SAMPLES.ids)]),
        ("classification", ["id,class", *(f"{name},a" for name in SAMPLES.ids)]),
    ],
    ids=["wide", "long", "like probabilities", "probabilities", "names"],
)
def test_samples_that_fit_pass(kind: str, lines: list[str], tmp_path) -> None:
    check_names(run(kind), sample(tmp_path, *lines))


def test_other_targets_and_ids_are_named(tmp_path) -> None:
    path = sample(tmp_path, "id,a,b,z", f"{SAMPLES.ids[0]},0,0,0", "other,0,0,0")
    with pytest.raises(UserError) as caught:
        check_names(run("regression"), path)
    text = str(caught.value)
    assert text.startswith(
        f"{path} asks for other predictions than runs/x makes:\n- Required column 'z' could not"
    )
    for words in [
        "Unexpected Column: 'c'",
        "ids missing from the submission: 'other'",
        repr(str(SAMPLES.ids[1])),
    ]:
        assert words in text


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_target_called_as_the_ids_are_is_refused(suffix) -> None:
    found = SimpleNamespace(targets=("id", "b"), rundir=SimpleNamespace(path="runs/x"))
    with pytest.raises(UserError, match=r"is called 'id', and so is a target of runs/x; give a \.npz"):
        check_id_column(found, Path(f"out{suffix}"))
    check_id_column(found, Path("out.npz"))
    check_id_column(run("regression"), Path(f"out{suffix}"))


@pytest.mark.slow
def test_scores_of_other_data_than_the_runs_say_so(trained, tmp_path):
    """And are not kept among its own."""
    run = shutil.copytree(trained, tmp_path / "run")
    assert "other data" not in CliRunner().invoke(main, ["evaluate", str(run)]).stderr
    info = json.loads((run / "run.json").read_text())
    info["data"]["fingerprint"] = "0" * 64
    (run / "run.json").write_text(json.dumps(info))
    before = (run / "metrics.jsonl").read_bytes()
    result = CliRunner().invoke(main, ["evaluate", str(run), "--json"])
    assert f"warning: {run} was trained on other data (fingerprint 000000000000, now " in result.stderr
    assert json.loads(result.stdout)
    assert (run / "metrics.jsonl").read_bytes() == before


# The kind: a setting that what is trained cannot follow. By another split, samples that were learned would be scored as
# new ones; images of another size do not fit the readout; a learning rate would change nothing, without a word.
SETTLED = [
    ("split.seed=1", "split.seed: 0 -> 1"),
    ("split.validation=0.5", "split.validation: 0.2 -> 0.5"),
    ("images.size=(8, 8)", "images.size: null -> [8, 8]"),
    ("images.levels=255", "images.levels: null -> 255"),
    ("model.channels=(8, 6)", "model.channels.0: 4 -> 8"),
    ("head.layer=level1", 'head.layer: "level2" -> "level1"'),
    ("augment.1.pixels=3", "augment.1.pixels: 2 -> 3"),
    ("optimizer.lr=5.0", "optimizer.lr: 0.01 -> 5.0"),
    ("seed=1", "seed: 0 -> 1"),
]
FREE = ["data.root=elsewhere", "inference.tta.shift=1", "limit=5", "training.batch_size=4"]
FREE += ["images.memory_budget_gb=0.5"]


@pytest.mark.parametrize("study", [False, True])
def test_what_training_settled_is_not_set_anew(tmp_path, study):
    made = Folds(experiment=TINY, folds=2) if study else TINY
    RunDirectory(tmp_path).create(to_json(made), None, {})
    for setting, change in SETTLED:
        with pytest.raises(UserError, match="expected settings of data, inference") as refused:
            jaxlab.load(tmp_path, [setting])
        assert f"{tmp_path}: " in str(refused.value)
        assert f"found what it was trained with changed ({change})" in str(refused.value)
    with pytest.raises(UserError, match="no checkpoint yet"):  # which is looked for next
        jaxlab.load(tmp_path, FREE)
    several = {"a": Objective(head=Linear(dropout=0.1)), "b": Objective(weight=0.5)}
    RunDirectory(tmp_path).create(to_json(replace(TINY, head=Linear(), objectives=several)), None, {})
    with pytest.raises(UserError, match=r"\(objectives\.a\.head\.dropout: 0\.1 -> 0\.5\)"):
        jaxlab.load(tmp_path, ["objectives.a.head.dropout=0.5"])


def test_memory_for_images_is_a_trained_runs_to_choose():
    task = task_of(TINY, ("n0",), Images(size=(8, 8)), Normalize())
    assert task.held_in(Images(memory_budget_gb=0.5)).images == Images(size=(8, 8), memory_budget_gb=0.5)


# The kind: JSON of a run that is whole, and of another shape than jaxlab writes. One message names the file.
SHAPES = [
    ("config.json", {"experiment": {}}),
    ("config.json", {"experiment": {"type": ["Experiment"]}}),
    ("config.json", {"experiment": {"type": "Experiment", "data": 3}}),
    ("config.json", {"experiment": {"type": "Experiment", "model": {"type": "AdamW"}}}),
    ("config.json", {"experiment": {"type": "AdamW"}}),
    ("config.json", {"experiment": {"optimizer": {"a": 1}}}),
    ("run.json", {"task": []}),
    ("run.json", {"task": {}}),
    ("run.json", {"task": {"kind": "regression", "targets": "n0"}}),
    ("run.json", {"task": {"kind": "regression", "targets": ["n0"], "images": {"type": "AdamW"}}}),
    ("run.json", {"task": {"images": {"size": [16, 16]}}}),
    ("run.json", {"task": {"normalize": {"type": "Images"}}}),
    ("run.json", {"task": {"images": {"type": "Images", "size": None}}}),
    ("run.json", {"data": "f"}),
    ("run.json", {"data": None}),
    ("run.json", {"devices": 4}),
]


@pytest.mark.parametrize("command", ["predict", "evaluate", "inspect"])
@pytest.mark.parametrize(("file", "changes"), SHAPES, ids=range(len(SHAPES)))
def test_records_of_another_shape_are_one_message(trained, tmp_path, command, file, changes):
    run = shutil.copytree(trained, tmp_path / "run", ignore=shutil.ignore_patterns("events", "plots"))
    data = json.loads((run / file).read_text())
    if isinstance(part := changes.get("task"), dict) and len(part) == 1:
        changes = {"task": data["task"] | part}
    (run / file).write_text(json.dumps(data | changes))
    result = CliRunner().invoke(main, [command, str(run)])
    assert isinstance(result.exception, SystemExit | None), repr(result.exception)
    if command != "inspect":
        assert result.exit_code == 1
        assert len(result.stderr.strip().splitlines()) == 1, result.stderr
        assert result.stderr.startswith("error: ")


def test_a_read_only_run_is_evaluated_and_predicts_into_another_file(trained, tmp_path, monkeypatch):
    """The kind: a run of somebody else's, or on a disk that is not written to. What is asked for is done and told."""
    run = shutil.copytree(trained, tmp_path / "run", ignore=shutil.ignore_patterns("events", "plots"))
    shutil.rmtree(run / "predictions", ignore_errors=True)
    (run / "metrics.jsonl").unlink()
    (run / "metrics.jsonl").mkdir()  # which nobody can append to
    monkeypatch.setattr("jaxlab.training.journal.read", lambda *_: [])
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).startswith(str(run)))
    result = CliRunner().invoke(main, ["evaluate", str(run), "--json"])
    assert result.exit_code == 0, repr(result.exception)
    assert json.loads(result.stdout)
    assert "metrics.jsonl could not be written (Is a directory): scores are not kept" in result.stderr
    with monkeypatch.context() as nothing:
        nothing.setattr("jaxlab.runs.network.run.NetworkRun.predict_each", None)  # what predicts is not asked
        refused = CliRunner().invoke(main, ["predict", str(run), "--out", str(run / "out.csv")])
        assert f"error: --out {run / 'out.csv'}: nothing can be written in {run}" in refused.stderr
        refused = CliRunner().invoke(main, ["predict", str(run)])
        assert refused.exit_code == 1
        assert (
            f"error: {run} is read-only, so that it cannot keep its predictions: give --out" in refused.stderr
        )
    for name in ("out.csv", "out.npz"):
        result = CliRunner().invoke(main, ["predict", str(run), "--out", str(tmp_path / name)])
        assert result.exit_code == 0, repr(result.exception)
        assert f"warning: {run} is read-only: its predictions are in {tmp_path / name} alone" in result.stderr
    assert not (run / "predictions").exists()
    kept = Predictions.load(tmp_path / "out.npz")
    np.testing.assert_array_equal(kept.values, jaxlab.load(run).predict_split("test").values)


def test_the_run_of_another_config_with_parts_of_its_own_is_named(trained, tmp_path, arrays_npz):
    """And its config.py is not run."""
    run = shutil.copytree(trained, tmp_path / "run", ignore=shutil.ignore_patterns("events", "plots"))
    config = (run / "config.json").read_text()
    (run / "config.json").write_text(config.replace('"ShallowCNN"', '"Unheard"'))
    (run / "config.py").write_text("raise SystemExit('it ran')")
    with pytest.raises(
        UserError, match=r"run is the run of another config \(.*'Unheard'.*\): give another --run"
    ):
        trained_run(arrays_npz, run)
