"""A bundle from end to end: made of two runs, installed where jaxlab is not, its notebook run without a network.

The environment stands for Kaggle's: every package of this one by a link, but jaxlab and what Kaggle lacks.
"""

import importlib.metadata
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[1] / "encode"))
from encoding import weights

import jaxlab
import submit
from jaxlab.bundling import bundle
from jaxlab.config import to_json
from jaxlab.data import Images, KaggleTable, KFold, Simulated
from jaxlab.encode import ImageEncoder, Ridge
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.models import LeNet5, ShallowCNN
from jaxlab.training.checkpoint import saved
from jaxlab.types import UserError

ROOT = Path(__file__).parents[2]
LACKING = ("jaxtyping", "wadler_lindig", "tensorboardX")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A Kaggle folder; a network's run, and a ridge regression's on features whose weights lie in a file."""
    path = tmp_path_factory.mktemp("bundle")
    Simulated(images=48, test_images=10, neurons=3, size=16).write_kaggle(path / "data")
    file = weights(path / "lenet.safetensors")
    data, images = KaggleTable(root=str(path / "data")), Images(size=(16, 16))
    network = Experiment(
        data=data, images=images, model=ShallowCNN(channels=(3,), kernel_sizes=(3,)), head=Linear(layer="level1"),
        training=Training(steps=2, batch_size=8, ema=0.9),
    )  # fmt: skip
    encoder = ImageEncoder(model=LeNet5(grid=1, pretrained=str(file)), images=images, layers=("fc1",))
    ridge = Ridge(data=data, encoders=(encoder,), alphas=(1.0, 10.0), split=KFold(folds=2))
    for name, experiment in (("network", network), ("ridge", ridge)):
        jaxlab.train(experiment, path / name, source="# how\n", console=Console(file=io.StringIO()))
        jaxlab.load(path / name).predict_split("test").save(path / f"{name}.npz")
    return path


@pytest.fixture(scope="module")
def made(place):
    image = place / "freeze.txt"
    packages = {found.metadata["Name"]: found.version for found in importlib.metadata.distributions()}
    image.write_text("".join(f"{n}=={v}\n" for n, v in packages.items() if n not in (*LACKING, "jaxlab")))
    said = []
    try:
        bundle(
            [place / "network", place / "ridge"],
            place / "out",
            data=place / "data",
            image=image,
            tell=said.append,
        )
    except UserError as error:
        if "pip" in str(error):
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
    wheels = {file.name.split("-")[0].lower() for file in (out / "wheels").iterdir()}
    assert wheels == {"jaxlab", *(name.lower() for name in LACKING)}
    assert (out / "configs/network.py").read_text() == "# how\n"
    record = json.loads((out / "bundle.json").read_text())
    assert set(record["files"]) == {
        str(file.relative_to(out)) for file in out.rglob("*") if file.is_file() and file.name != "bundle.json"
    }
    (whole,), (slim,) = saved(place / "network/checkpoints"), saved(out / "runs/network/checkpoints")
    assert slim.fault() is None
    assert slim.meta()["digest"] == whole.meta()["digest"]
    assert set(whole.arrays()) > set(slim.arrays()) >= {"params", "ema", "constants"}
    assert (out / "runs/ridge/predictions/out_of_fold.npz").is_file()
    assert json.loads((out / "dataset-metadata.json").read_text())["title"] == "jaxlab-out"
    assert f"{out}: " in said[-1]


@pytest.mark.slow
def test_the_notebook_predicts_without_a_network(made, kaggle, place, tmp_path):
    shutil.copytree(made[0], tmp_path / "bundle")
    shutil.copy(ROOT / "tools/run_notebook.py", tmp_path)
    (place / "lenet.safetensors").rename(place / "elsewhere.safetensors")  # the bundle has its own
    done = offline([kaggle, tmp_path / "run_notebook.py", "notebook.ipynb"], tmp_path / "bundle")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Successfully installed jaxlab" in done.stdout
    assert "checked against" in done.stdout
    written = tmp_path / "bundle/submission.csv"
    assert submit.check(written, place / "data/sample_submission.csv") == []
    wanted = submit.mean(submit.Predictions.load(place / f"{name}.npz") for name in ("network", "ridge"))
    found = submit.align(submit.Predictions.load(written), wanted.ids, wanted.targets)
    np.testing.assert_allclose(found.values, wanted.values, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_folds_are_bundled_with_what_they_have_in_common(made, place, tmp_path, monkeypatch):
    """A folder of folds is a config.json over ordinary runs."""
    from jaxlab.bundling import wheels

    monkeypatch.setattr(wheels, "own_wheel", lambda folder: folder / "none.whl")
    monkeypatch.setattr(wheels, "lacking", lambda wheel, image: [])
    for number in range(2):
        shutil.copytree(place / "network", tmp_path / f"net/fold{number}")
    (tmp_path / "net/config.json").write_text('{"schema": 1, "experiment": {"type": "Folds"}}')
    out = bundle([tmp_path / "net"], tmp_path / "a bundle")
    (run,) = json.loads((out / "bundle.json").read_text())["runs"]
    assert [part["path"] for part in run["parts"]] == ["runs/net/fold0", "runs/net/fold1"]
    assert (out / "runs/net/config.json").is_file()
    loaded = jaxlab.load(out / "runs/net/fold1")
    assert to_json(loaded.experiment)["type"] == "Experiment"
    wanted = submit.Predictions.load(place / "network.npz").values
    np.testing.assert_array_equal(loaded.predict_split("test").values, wanted)
