"""An experiment without data is tried out: on simulated neurons, small, without weights that are out of reach."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from jaxlab.cli.main import main
from jaxlab.core.config import load_file
from jaxlab.core.types import UserError
from jaxlab.data import Arrays, GroupedSplit, ImageFolders, KaggleTable, Sensorium, Simulated, VQAv2
from jaxlab.encode import CachedFeatures, Ridge
from jaxlab.experiment import Experiment, Folds, Objective
from jaxlab.experiment.trial import simulated, trial, unnamed
from jaxlab.losses import CrossEntropy, Mse
from jaxlab.models import LeNet5
from jaxlab.weights.read import Unreachable

CONFIGS = Path(__file__).parents[2] / "configs"
WITH_DATA = ("quickstart", "mnist_lenet5")  # simulated and packaged
WITHOUT = sorted(path for path in CONFIGS.glob("*.py") if path.stem not in WITH_DATA)


@pytest.fixture
def no_hub(monkeypatch):
    """No hub answers; nothing is looked up."""

    def find(source):
        raise Unreachable(source, "no route")

    monkeypatch.setattr("jaxlab.experiment.trial.find", find)


def networks(experiment):
    """The networks that have weights of their own, and the images that each sees."""
    if isinstance(experiment.data, CachedFeatures):
        return [(one.model, one.images) for one in experiment.data.encoders]
    if isinstance(experiment, Ridge):
        return [(one.model, one.images) for one in experiment.encoders]
    return [(experiment.model, experiment.images)]


@pytest.mark.parametrize("config", WITHOUT, ids=lambda path: path.stem)
def test_every_config_without_data_can_be_tried(config, no_hub):
    whole, told = load_file(config), []
    field = "data.data.root" if config.stem == "cached_readout" else "data.root"
    assert unnamed(whole) == field
    assert unnamed(whole.overridden([f"{field}=FOLDER"])) is None
    small = trial(whole, told.append)
    data = small.data.data if isinstance(small.data, CachedFeatures) else small.data
    assert data.kind == ("classification" if config.stem.startswith("gesture") else "regression")
    assert unnamed(small) is None
    hubs = [model.pretrained for model, _ in networks(whole) if getattr(model, "pretrained", None)]
    assert told == [
        f"warning: weights {hub} cannot be reached (no route): random ones take their place" for hub in hubs
    ]
    for (before, _), (model, images) in zip(networks(whole), networks(small), strict=True):
        assert model == (replace(before, pretrained=None) if hubs else before)
        assert max(images.size) <= 128
    opened = data.open()
    assert (len(opened.train), len(opened.test)) == (160, 16)


@pytest.mark.parametrize("name", WITH_DATA)
def test_a_config_with_data_is_none(name):
    assert unnamed(load_file(CONFIGS / f"{name}.py")) is None


def test_what_no_population_can_stand_in_for_is_none():
    assert unnamed(Experiment(data=KaggleTable())) == "data.root"
    assert unnamed(Folds(experiment=Experiment(data=Arrays()))) == "data.root"
    assert unnamed(Experiment(data=ImageFolders(), loss=CrossEntropy())) == "data.root"
    for data in (Sensorium(), VQAv2(), Simulated()):
        assert unnamed(Experiment(data=data)) is None
    two = {"activity": Objective(loss=Mse()), "object": Objective(loss=CrossEntropy())}
    assert unnamed(Experiment(data=KaggleTable(), objectives=two)) is None
    column = {"activity": Objective(loss=Mse(), of="depth")}
    assert unnamed(Experiment(data=KaggleTable(columns=("depth",)), objectives=column)) is None


def test_splits_by_columns_that_are_not_there_become_random():
    small = simulated(Experiment(data=KaggleTable(columns=("monkey",)), split=GroupedSplit(column="monkey")))
    _, validate = small.split.split(small.data.open().train)
    assert len(validate) == 16
    folds = trial(Folds(experiment=Experiment(data=KaggleTable()), folds=5), print)
    assert sorted(folds.variants()) == ["fold0", "fold1"]


def test_weights_that_are_the_users_mistake_stay_one():
    wrong = Experiment(data=KaggleTable(), model=LeNet5(pretrained="nowhere.safetensors"))
    with pytest.raises(UserError, match=r"weights nowhere\.safetensors: no such file"):
        trial(wrong, print)


def test_weights_that_are_there_are_kept(tmp_path):
    (tmp_path / "lenet.safetensors").write_bytes(b"")
    model = LeNet5(pretrained=str(tmp_path / "lenet.safetensors"))
    assert trial(Experiment(data=KaggleTable(), model=model), print).model == model


def run(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "flags"),
    [("gesture_lenet5", ["--smoke"]), ("gesture_lenet5", []), ("shallow_cnn", ["--folds", 5])],
)
def test_a_trial_ends_in_a_submission_and_goes_on_where_it_stopped(tmp_path, monkeypatch, name, flags):
    monkeypatch.chdir(tmp_path)
    said = run("train", CONFIGS / f"{name}.py", *flags)
    assert said.startswith("trial: no data are named (data.root), so that simulated neurons take their place")
    assert f"jaxlab train {CONFIGS / name}.py --set data.root=FOLDER" in said
    (made,) = Path("runs").iterdir()
    assert made.name.startswith(f"{name}-{'smoke' if '--smoke' in flags else 'trial'}-")
    assert f"jaxlab predict {made} --out submission.csv" in said
    run("predict", made, "--out", "submission.csv")
    table = pd.read_csv("submission.csv", dtype=str)
    assert len(table) == 16
    assert table.notna().all(axis=None)
    if not flags:
        assert "steps are done" in run("train", CONFIGS / f"{name}.py")


@pytest.mark.slow
def test_the_literal_command_with_the_network_off(tmp_path):
    """As a user types it in a new folder, with a hub whose port is closed."""
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    environment |= {
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HOME": str(tmp_path / "hub"),
        "no_proxy": "127.0.0.1",
    }
    given = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}
    command = [sys.executable, "-m", "jaxlab"]
    done = subprocess.run([*command, "train", str(CONFIGS / "vit_tiny_finetune.py")], **given)
    assert done.returncode == 0, done.stderr
    first, second, *_ = done.stderr.splitlines()
    assert first.startswith("trial: no data are named")
    assert second.startswith("trial: warning: weights timm/vit_tiny")
    path = done.stdout.strip()
    config = json.loads((tmp_path / path / "config.json").read_text())["experiment"]
    assert config["data"]["type"] == "Simulated"
    done = subprocess.run([*command, "predict", path, "--out", "submission.csv"], **given)
    assert done.returncode == 0, done.stderr
    values = pd.read_csv(tmp_path / "submission.csv", index_col=0).to_numpy()
    assert values.shape == (16, 16)
    assert np.isfinite(values).all()
