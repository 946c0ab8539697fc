"""A user's mistake ends in one paragraph that names the thing, before anything is compiled."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image
from safetensors.numpy import save_file

from jaxlab.cli.main import main
from jaxlab.data import Simulated
from jaxlab.training.sharding import Layout

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A Kaggle folder of 20 images without a fault."""
    path = tmp_path_factory.mktemp("good")
    Simulated(images=20, test_images=4, neurons=3, size=16).write_kaggle(path)
    return path


@pytest.fixture
def folder(good, tmp_path, monkeypatch):
    """A copy to spoil; and nothing may be compiled."""

    def compiled(*_: object, **__: object) -> None:
        raise AssertionError("compiled before the mistake was found")

    monkeypatch.setattr(Layout, "compile", compiled)
    monkeypatch.setattr("jaxlab.experiment.recipe.initial_parameters", compiled)
    return shutil.copytree(good, tmp_path / "data")


def message(folder: Path, *flags: str, config: str | Path = "shallow_cnn") -> str:
    """What `jaxlab train` says of the folder."""
    small = ["--set", "training.batch_size=4", "--set", f"data.root={folder}"]
    arguments = ["train", str(CONFIGS / f"{config}.py"), *small, *flags]
    result = CliRunner().invoke(main, [*arguments, "--run", str(folder.parent / "run")])
    assert result.exit_code == 1, result.output
    error = result.output[result.output.index("error: ") :]
    assert len(error.strip().splitlines()) == 1
    assert not (folder.parent / "run").exists()
    return error


def edit(folder: Path, name: str = "train.csv", **cells: object) -> None:
    """Set cells (column=(row, value)) of a CSV."""
    table = pd.read_csv(folder / name, dtype=str, keep_default_na=False)
    for column, (row, value) in cells.items():
        table.loc[row, column] = value
    table.to_csv(folder / name, index=False)


def test_missing_and_duplicate_ids(folder):
    edit(folder, image_id=(3, "train00"))
    edit(folder, n1=(5, "high"))
    edit(folder, n2=(6, "nan"))
    edit(folder, image_id=(7, ""))
    error = message(folder)
    for part in ("train.csv", "train00", "n1", "high", "n2", "train06"):
        assert part in error


def test_an_image_that_is_absent(folder):
    (folder / "train/train04.png").unlink()
    error = message(folder)
    assert "train04" in error
    assert "no image" in error


def test_images_that_cannot_be_decoded(folder):
    whole = (folder / "train/train01.png").read_bytes()
    (folder / "train/train01.png").write_bytes(whole[: len(whole) // 2])
    (folder / "train/train02.png").write_text("not an image")
    error = message(folder)
    assert "train01.png" in error
    assert "train02.png" in error
    assert "2 of" in error


def test_images_of_another_size_are_not_stretched_unasked(folder):
    for name in ("train03.png", "train11.png"):
        with Image.open(folder / "train" / name) as image:
            image.resize((20, 16)).save(folder / "train" / name)
    error = message(folder, "--set", "images.size=None")
    assert "2 of 20 images cannot be used" in error
    assert "train03: is (16, 20) (height, width) where the first image is (16, 16); set images.size" in error


def test_a_batch_larger_than_the_data_or_not_for_these_devices(folder):
    assert "50" in message(folder, "--set", "training.batch_size=50")
    error = message(folder, "--set", "training.batch_size=6", "--set", "training.parallel=pmap")
    assert "multiple of the 4 devices" in error


@pytest.mark.parametrize(
    ("setting", "parts"),
    [
        ("optimizer.lrr=1", ["AdamW has no field 'lrr'", "lr"]),
        ("optimizer.lr=fast", ["AdamW.lr", "expected float", "'fast'"]),
        ("optimizer.lr=-1", ["AdamW.lr", "more than 0", "-1"]),
        ("training.parallel=many", ["Training.parallel", "pmap", "'many'"]),
        ("head.layer=layer9", ["layer9", "level1, level2, level3, pool"]),
        ("training.metric=r", ["'r'", "pearson"]),
        ("data.rot=x", ["KaggleTable has no field 'rot'", "root"]),
    ],
)
def test_fields_that_are_unknown_or_wrong(folder, setting, parts):
    error = message(folder, "--set", setting)
    for part in parts:
        assert part in error


def test_a_loss_for_another_kind_of_data(folder):
    table = pd.read_csv(folder / "train.csv")[["image_id"]].assign(label=["cat", "dog"] * 10)
    table.to_csv(folder / "train.csv", index=False)
    assert "use loss=CrossEntropy()" in message(folder)


def test_a_squashed_regression_of_classes(folder, tmp_path):
    table = pd.read_csv(folder / "train.csv")[["image_id"]].assign(label=["cat", "dog"] * 10)
    table.to_csv(folder / "train.csv", index=False)
    config = tmp_path / "squashed.py"
    config.write_text(
        "from jaxlab import losses\nfrom jaxlab.data import KaggleTable\nfrom jaxlab.experiment import Experiment\n"
        "from jaxlab.heads import Linear, Squashed\n"
        "experiment = Experiment(data=KaggleTable(), head=Squashed(head=Linear()), loss=losses.CrossEntropy())\n"
    )
    assert "head=Squashed() is for numbers" in message(folder, config=config.with_suffix(""))


def test_weights_of_another_architecture(folder, tmp_path):
    file = tmp_path / "weights.safetensors"
    save_file({"features.0.weight": np.zeros((4, 3, 3, 3), np.float32)}, file)
    error = message(folder, "--set", f"model.pretrained={file}", config="resnet_finetune")
    assert "weights.safetensors" in error
    assert "features.0.weight" in error
    file.write_bytes(file.read_bytes()[:20])
    assert "weights.safetensors" in message(
        folder, "--set", f"model.pretrained={file}", config="resnet_finetune"
    )


def test_a_config_file_with_a_mistake(signatures_off, tmp_path):
    config = tmp_path / "mine.py"
    config.write_text("from jaxlab.models import ResNet\n\nexperiment = ResNet(depht=50)\n")
    result = CliRunner().invoke(main, ["train", str(config)])
    assert result.exit_code == 1
    assert f"{config}, line 3: ResNet has no field 'depht'; nearest: depth" in result.output


def test_folders_and_files_that_are_not_there(tmp_path):
    for arguments in (
        ["predict", "nowhere", "--out", "x.csv"],
        ["inspect", "nowhere"],
        ["evaluate", "nowhere"],
    ):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 1
        assert "error: " in result.output
        assert "nowhere" in result.output
