"""Pretraining without labels from the command line: train, look at it, go on from it."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import jaxlab as package
from jaxlab.cli.main import main
from jaxlab.core.types import UserError
from jaxlab.data import Simulated
from jaxlab.data.readers.image_files import read_image

CONFIGS = Path(__file__).parents[2] / "configs"
SMALL = {  # what makes a network small enough for two steps here
    "images.size": "(16, 16)",
    "model.channels": "(4, 6)",
    "model.kernel_sizes": "(3, 3)",
    "training.parallel": "single",
}
DECODED = {"head.layer": "level2", "head.channels": "(4,)"}
OTHERS = {
    "rotation": {"head.layer": "level2"},
    "jigsaw": {"head.layer": "level2"},
    "autoencoder": DECODED,
    "contrast": {},
}


def jaxlab(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output + repr(result.exception)
    return result.output


def flags(settings):
    return [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("kaggle")
    Simulated(images=60, test_images=12, neurons=6, size=32).write_kaggle(path)
    return path


@pytest.mark.slow
def test_blanks_are_filled_and_looked_at(folder, tmp_path, painted_figures):
    settings = {**SMALL, **DECODED, "data.root": folder}
    run = tmp_path / "masked"
    said = jaxlab("train", CONFIGS / "pretext_masked.py", "--smoke", "--run", run, *flags(settings))
    assert "12 images in folders called test left out (data.test=true takes them along)" in said
    info = json.loads((run / "run.json").read_text())
    assert (len(info["task"]["targets"]), info["task"]["targets"][-1]) == (16 * 16 * 3, "y15x15c2")

    files = sorted((folder / "test").iterdir())[:3]
    shown = package.load(run).reconstruct(files)
    decoded = np.stack([read_image(file) for file in files]).reshape(3, 16, 2, 16, 2, 3).mean((2, 4)) / 255
    np.testing.assert_allclose(shown.images, decoded, atol=3 / 255)
    covered = (shown.seen[:, 0] != shown.images).any(-1)
    assert (covered.reshape(3, 2, 8, 2, 8).mean((2, 4)) == 1).sum((1, 2)).tolist() == [2, 2, 2]
    np.testing.assert_allclose(shown.made[~covered], shown.images[~covered], atol=1e-5)
    grey = np.broadcast_to(np.float32([0.485, 0.456, 0.406]), (covered.sum(), 3))
    np.testing.assert_allclose(shown.seen[:, 0][covered], grey, atol=1e-5)

    page = tmp_path / "page.html"
    jaxlab("report", run, "--out", page)
    assert (run / "plots/pretext.png").stat().st_size > 1000
    assert "What the network is shown" in page.read_text()
    assert "KaggleTable" not in jaxlab("inspect", run)
    assert "validation" in jaxlab("evaluate", run)
    assert "no test images to predict" in jaxlab("predict", run, "--out", tmp_path / "out.csv", code=1)

    child = {
        "images.size": "(16, 16)",
        "training.parallel": "single",
        "data.root": folder,
        "model.pretrained": run,
    }
    refused = jaxlab("train", CONFIGS / "shallow_cnn.py", "--run", tmp_path / "child", *flags(child), code=1)
    assert "model.channels is (32, 64, 64), the run's (4, 6)" in refused


def test_a_run_without_a_task_has_nothing_to_reconstruct(trained):
    with pytest.raises(UserError, match="was trained without a pretext task"):
        package.load(trained).reconstruct()


def _labelled(tmp_path, folder, run):
    settings = {**SMALL, "head.layer": "level2", "data.root": folder, "model.pretrained": run}
    jaxlab("train", CONFIGS / "shallow_cnn.py", "--smoke", "--run", tmp_path / "child", *flags(settings))
    return tmp_path / "child"


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", OTHERS)
def test_every_config_trains_and_is_gone_on_from(name, folder, tmp_path):
    run, settings = tmp_path / name, {**SMALL, **OTHERS[name], "data.root": folder}
    if name == "jigsaw":
        settings |= {"pretext.grid": 2, "pretext.permutations": 6}
    jaxlab("train", CONFIGS / f"pretext_{name}.py", "--smoke", "--run", run, *flags(settings))
    assert (run / "plots/pretext.png").is_file()
    _labelled(tmp_path, folder, run)
