"""A bundle of folds and a ridge regression from end to end: made, installed where jaxlab is not, its notebook run.

The environment stands for Kaggle's: every package of this one by a link, but jaxlab and what Kaggle lacks; no network.
"""

import importlib.metadata
import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[1] / "encode"))
from encoding import weights

import jaxlab
import submit
from jaxlab.bundling import bundle, wheels
from jaxlab.bundling.runs import members_of
from jaxlab.core.types import UserError
from jaxlab.data import Images, KaggleTable, KFold, Simulated
from jaxlab.encode import ImageEncoder, Ridge
from jaxlab.experiment import Experiment, Training
from jaxlab.experiment.folds import Folds
from jaxlab.heads import Linear
from jaxlab.models import LeNet5, ShallowCNN
from jaxlab.runs.network.run import NetworkRun
from jaxlab.training.checkpoint import saved
from submit.cli.ensemble import ensemble

ROOT = Path(__file__).parents[2]
LACKING = ("jaxtyping", "wadler_lindig")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A Kaggle folder; a network's folds, and a ridge regression on features whose weights lie in a file."""
    path = tmp_path_factory.mktemp("bundle")
    Simulated(images=48, test_images=10, neurons=3, size=16).write_kaggle(path / "data")
    file = weights(path / "lenet.safetensors")
    data, images = KaggleTable(root=str(path / "data")), Images(size=(16, 16))
    network = Experiment(
        data=data, images=images, model=ShallowCNN(channels=(3,), kernel_sizes=(3,)), head=Linear(layer="level1"),
        training=Training(steps=2, batch_size=8, ema=0.9, checkpoint_steps=1, keep_every=1),
    )  # fmt: skip
    encoder = ImageEncoder(model=LeNet5(grid=1, pretrained=str(file)), images=images, layers=("fc1",))
    ridge = Ridge(data=data, encoders=(encoder,), alphas=(1.0, 10.0), split=KFold(folds=2))
    for name, experiment in (("network", Folds(experiment=network, folds=2)), ("ridge", ridge)):
        jaxlab.train(experiment, path / name, source="# how\n", console=Console(file=io.StringIO()))
        jaxlab.load(path / name).predict_split("test").save(path / name / "predictions/test.npz")
    return path


@pytest.fixture(scope="module")
def made(place):
    """The bundle, and what was told of it. What an image lacks is another test's matter (test_bundle_wheels.py)."""

    def lacking(wheel, image, python, extras):
        pins = [f"{name}=={importlib.metadata.version(name)}" for name in LACKING]
        wheels._pip("download", "--no-deps", "--dest", str(wheel.parent), *pins)
        return pins

    said = []
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(wheels, "lacking", lacking)
            bundle([place / "network", place / "ridge"], place / "out", tell=said.append)
    except UserError as error:
        if "no network" in str(error):
            pytest.skip(f"a bundle needs a network: {error}")
        raise
    return place / "out", said


@pytest.fixture(scope="module")
def kaggle(place):
    """The Python of an environment that has what this one has, but jaxlab and what Kaggle lacks."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place / "venv"], check=True)
    (target,) = (place / "venv/lib").glob("python*/site-packages")
    hidden = set()
    for name in (*LACKING, "jaxlab"):
        found = importlib.metadata.distribution(name)
        hidden |= {file.parts[0] for file in found.files or () if file.parts[0] != ".."}
    for folder in {Path(found.locate_file("")).resolve() for found in importlib.metadata.distributions()}:
        for entry in folder.iterdir() if folder != ROOT else ():
            if entry.name not in hidden and not (target / entry.name).exists():
                (target / entry.name).symlink_to(entry)
    return place / "venv/bin/python"


def offline(command, folder):
    """Run it where no network can be reached: in a namespace without devices where that is permitted."""
    blocked = {"PIP_NO_INDEX": "1", "HF_HUB_OFFLINE": "1", "https_proxy": "http://127.0.0.1:9"}
    unshare = ["unshare", "--user", "--map-root-user", "--net"]
    may = shutil.which("unshare") and not subprocess.run([*unshare, "true"], capture_output=True).returncode
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PIP_FIND_LINKS")} | blocked
    environment["JAXLAB_CACHE"] = str(folder / "cache")
    command = [*(unshare if may else ()), *map(str, command)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_the_folder_holds_what_predicting_needs_and_no_more(made, place):
    out, said = made
    brought = {file.name.split("-")[0].lower() for file in (out / "wheels").iterdir()}
    assert brought == {"jaxlab", *(name.lower() for name in LACKING)}
    assert (out / "configs/network.py").read_text() == "# how\n"
    record = json.loads((out / "bundle.json").read_text())
    assert set(record["files"]) == {
        str(file.relative_to(out))
        for part in ("wheels", "runs", "weights")
        for file in (out / part).rglob("*")
        if file.is_file()
    }
    records = {"config.json", "config.py", "run.json", "metrics.jsonl"}
    for run in ("network", "network/fold0", "network/fold1", "ridge"):
        assert {file.name for file in (out / "runs" / run).iterdir() if file.is_file()} == records
    kept = [str(file.relative_to(out / "runs")) for file in (out / "runs").rglob("*.npz")]
    assert sorted(kept) == ["network/predictions/out_of_fold.npz", "ridge/predictions/out_of_fold.npz"]
    for fold in ("fold0", "fold1"):
        last, slim = (
            saved(place / "network" / fold / "checkpoints")[-1],
            saved(out / "runs/network" / fold / "checkpoints"),
        )
        assert [one.fault() for one in slim] == [None]
        assert slim[0].meta()["digest"] == last.meta()["digest"]
        assert set(last.arrays()) > set(slim[0].arrays()) >= {"params", "ema", "constants"}
    assert json.loads((out / "dataset-metadata.json").read_text())["title"] == "jaxlab-out"
    assert "ensemble: weights learned from the runs' predictions of labelled samples" in said
    assert f"{out}: " in said[-1]


@pytest.mark.slow
def test_the_notebook_predicts_without_a_network(made, kaggle, place, tmp_path):
    """Below Kaggle's folder of inputs, where its command has left the metadata out."""
    inputs, working = tmp_path / "input", tmp_path / "working"
    shutil.copytree(made[0], inputs / "datasets/someone/neurons", ignore=lambda *_: ["dataset-metadata.json"])
    shutil.copytree(place / "data", inputs / "competitions/neurons")
    working.mkdir()
    notebook = (made[0] / "notebook.ipynb").read_text().replace("/kaggle/input", str(inputs))
    (working / "notebook.ipynb").write_text(notebook)
    shutil.copy(ROOT / "tools/run_notebook.py", tmp_path)
    weights = (place / "lenet.safetensors").rename(place / "elsewhere.safetensors")  # the bundle has its own
    done = offline([kaggle, tmp_path / "run_notebook.py", "notebook.ipynb"], working)
    weights.rename(place / "lenet.safetensors")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Successfully installed jaxlab" in done.stdout
    assert "checked against" in done.stdout
    written = working / "submission.csv"
    assert submit.check(written, place / "data/sample_submission.csv") == []
    runs, truth = [str(place / "network"), str(place / "ridge")], str(place / "data/train.csv")
    command = [*runs, "--method", "best", "--truth", truth, "--out", str(tmp_path / "wanted.npz")]
    told = CliRunner().invoke(ensemble, command)
    assert told.exit_code == 0, told.output
    wanted = submit.Predictions.load(tmp_path / "wanted.npz")
    assert f"taken: {wanted.provenance['method']}\n" in done.stdout
    found = submit.align(submit.Predictions.load(written), wanted.ids, wanted.targets)
    np.testing.assert_allclose(found.values, wanted.values, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_checkpoints_are_those_that_predict_and_labelled_predictions_of_the_same(place, monkeypatch):
    asked, checkpoint = [], NetworkRun.checkpoint
    monkeypatch.setattr(
        NetworkRun, "checkpoint", lambda run, which: asked.append(which) or checkpoint(run, which)
    )
    network, ridge, fold = members_of([place / "network", place / "ridge", place / "network/fold0"], None)
    assert asked == ["last", "last", "best"]  # the best of a fold was picked on its out-of-fold samples
    assert list(network.checkpoints) == ["fold0", "fold1"]
    assert (list(ridge.checkpoints), list(fold.checkpoints)) == (["."], ["."])
    assert network.labelled == place / "network/predictions/out_of_fold.npz"
    assert ridge.labelled == place / "ridge/predictions/out_of_fold.npz"
    assert fold.labelled is None
    (earlier,) = members_of([place / "network"], 1)
    assert (earlier.which, [one.step for one in earlier.checkpoints.values()]) == (1, [1, 1])
    assert earlier.labelled is None


@pytest.mark.slow
def test_labelled_predictions_of_unknown_origin_are_taken_for_the_runs_own(place, tmp_path):
    run = tmp_path / "ridge"
    shutil.copytree(place / "ridge", run)
    file = run / "predictions/out_of_fold.npz"
    replace(submit.Predictions.load(file), provenance={}).save(file)
    (member,) = members_of([run], None)
    assert member.labelled == file


@pytest.mark.slow
def test_a_bundle_brings_the_extras_that_its_runs_need(place, tmp_path, monkeypatch):
    """A ridge regression on features of images that cykooz-resizer resized; a network of which it is not known."""
    shutil.copytree(place / "ridge", tmp_path / "ridge")
    config = tmp_path / "ridge/config.json"
    told = json.loads(config.read_text())
    told["experiment"]["encoders"][0]["images"]["resizing"] = "fast"
    config.write_text(json.dumps(told))
    asked = []
    monkeypatch.setattr(wheels, "own_wheel", lambda folder: folder / "none.whl")
    monkeypatch.setattr(wheels, "lacking", lambda *given: asked.append(given[3]) or [])
    for number, runs in enumerate(([place / "network", tmp_path / "ridge"], [place / "network"])):
        out = bundle(runs, tmp_path / f"bundle{number}")
        assert json.loads((out / "bundle.json").read_text())["extras"] == asked[number]
    assert asked == [["fast"], []]


@pytest.mark.slow
def test_a_network_and_folds_predict_by_the_checkpoints_asked_for(place, tmp_path, monkeypatch):
    monkeypatch.setattr(wheels, "own_wheel", lambda folder: folder / "none.whl")
    monkeypatch.setattr(wheels, "lacking", lambda *_: [])
    out = bundle([place / "network/fold0", place / "network"], tmp_path / "a bundle", which=1)
    runs = json.loads((out / "bundle.json").read_text())["runs"]
    assert [run["path"] for run in runs] == ["runs/fold0", "runs/network"]
    for run, kept in zip(runs, ("network/fold0", "network"), strict=True):
        assert (run["labelled"], run["roots"]) == (None, ["data.root"])
        found = jaxlab.load(out / run["path"]).predict_split("test", run["which"])
        wanted = jaxlab.load(place / kept).predict_split("test", 1)
        np.testing.assert_array_equal(found.values, wanted.values)
    assert found.provenance["scores"] == {"out_of_fold": {}}  # those of the last checkpoints are not theirs
