"""Every example on every page runs, in a folder where the files that pages speak of are there."""

import re
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from pages import PAGES, ROOT, Example, commands, examples, named

import jaxlab
import submit
from jaxlab.cli.main import main as jaxlab_command
from jaxlab.core import config
from jaxlab.data import Images, KaggleTable, RandomSplit, Simulated
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.models import ShallowCNN
from submit.cli.main import main as submit_command

pytestmark = pytest.mark.slow
TOURS = [ROOT / "README.md", ROOT / "docs/start.md"]  # whose blocks need nothing but those before them
OTHERS = [page for page in PAGES if page not in TOURS]
EXPERIMENT = Experiment(
    images=Images(size=(16, 16)),
    split=RandomSplit(validation=0.5),
    model=ShallowCNN(channels=(4, 4, 4), kernel_sizes=(3, 3, 3)),
    head=Linear(layer="level3"),
    training=Training(steps=2, batch_size=8),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the pages call FOLDER, mine.py, runs/a and so on: a simulated Kaggle folder, and a run trained on it."""
    here = tmp_path_factory.mktemp("pages")
    Simulated(images=60, test_images=12, neurons=3, size=32, repeats=2).write_kaggle(here / "FOLDER")
    shown = next((here / "FOLDER/train").iterdir())
    shutil.copy(shown, next((here / "FOLDER/test").iterdir()))  # for `jaxlab data audit --duplicates` to find
    for name in ("train.csv", "solution.csv", "sample_submission.csv"):
        shutil.copy(here / "FOLDER" / name, here)
    shutil.copytree(here / "FOLDER/test", here / "test_images")
    shutil.copytree(ROOT / "configs", here / "configs")
    np.save(here / "ceiling.npy", np.load(here / "FOLDER/solution.ceiling.npy"))
    data = KaggleTable(root=str(here / "FOLDER"))
    run = jaxlab.train(replace(EXPERIMENT, data=data), here / "runs/a")
    loaded: Any = jaxlab.load(run)
    for split in ("test", "validation"):
        (run / "predictions").mkdir(exist_ok=True)
        loaded.predict_split(split).save(run / f"predictions/{split}.npz")
    for name in ("b", "c", "ridge", "pooled"):
        shutil.copytree(run, here / "runs" / name)
    solution = submit.Predictions.load(here / "solution.csv")
    noise = 0.3 * solution.values.std(0) * np.random.default_rng(0).normal(size=solution.values.shape)
    replace(solution, values=solution.values + noise).save(here / "predictions.npz")
    for name in ("a", "b"):
        shutil.copy(run / "predictions/test.npz", here / f"{name}.npz")
    submit.write(
        submit.Predictions.load(here / "a.npz"), here / "submission.csv", here / "sample_submission.csv"
    )
    shutil.copy(ROOT / "configs/shallow_cnn.py", here / "mine.py")
    return here


@pytest.fixture
def inside(folder, tmp_path, monkeypatch):
    """A copy for each page, which may write what it likes."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("page", TOURS, ids=named)
def test_every_block_runs_as_copied_in_an_empty_folder(page, tmp_path, monkeypatch):
    """One after the other; trainings and simulations are only made small. What is written for it need not be there."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "example"}
    for example in examples(page, "bash", "python"):
        if example.read_only is not None:
            continue
        if example.language == "python":
            exec(compile("\n" * (example.line - 1) + example.text, str(page), "exec"), names)
            continue
        for words in commands(example):
            run(small(words), example)
    assert names["experiment"] == config.load_file(ROOT / "configs/shallow_cnn.py"), (
        "the config that was copied"
    )


def small(words: list[str]) -> list[str]:
    match words:
        case ["jaxlab", "train", *_]:
            settings = ["images.size=(16, 16)", "model.channels=(4, 4, 4)", "training.batch_size=8"]
            settings += ["training.epochs=1"] if "--run" in words else []
            return [*words, *(word for setting in settings for word in ("--set", setting))]
        case ["jaxlab", "simulate", folder]:
            Path(folder).mkdir()
    return words


@pytest.mark.parametrize("page", [p for p in OTHERS if examples(p, "python")], ids=named)
def test_python_runs(page, inside):
    """One after the other, with the names of those before, as a reader would."""
    names: dict[str, Any] = {"__name__": "example"}
    for example in examples(page, "python"):
        code = compile("\n" * (example.line - 1) + example.text, str(page), "exec")
        if example.read_only is None:
            exec(code, names)


@pytest.mark.parametrize("page", [p for p in OTHERS if examples(p, "bash")], ids=named)
def test_shell_runs(page, inside):
    for example in examples(page, "bash"):
        for words in commands(example):
            run(words, example)


def run(words: list[str], example: Example) -> None:
    """One command, as its page has it; a training only makes two steps."""
    match words:
        case ["jaxlab", *arguments]:
            command = jaxlab_command
        case ["python", "-m", "submit", *arguments]:
            command = submit_command
        case ["pip", "install", package]:
            assert set(re.findall(r"\w+", package)) <= extras(), words
            return
        case _:
            raise AssertionError(f"{example.page}:{example.line}: {words[0]}: no way to run this is known")
    parsed(command, arguments)
    if example.read_only is None:
        arguments = cheap(arguments)
        result = CliRunner().invoke(command, arguments, catch_exceptions=False)
        assert result.exit_code == 0 or arguments == ["doctor"], f"{words}: {result.output}"


def cheap(arguments: list[str]) -> list[str]:
    """What a test can afford: two steps of training in a run of its own, few images, nothing in their place."""
    match arguments:
        case ["train", "resnet_finetune.py", *others]:  # of whose layers few are needed
            fewer = ("--set", "head.layer=layer1", "--set", "training.parallel=single")
            return ["train", "resnet_finetune.py", *others, *fewer]
        case ["train", *others]:
            if "--run" in others and "training.epochs=1" not in others:
                at = others.index("--run")
                others = [*others[:at], *others[at + 2 :]]
            return ["train", *others, *([] if "--smoke" in others or "--run" in others else ["--smoke"])]
        case ["simulate", folder]:
            shutil.rmtree(folder)
            return ["simulate", folder, "--images", "60", "--test-images", "8", "--neurons", "3"]
        case ["configs", "copy", name, *to]:
            Path(*to or [f"{name}.py"]).unlink(missing_ok=True)
    return arguments


def extras() -> set[str]:
    return {".", *tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]}


def parsed(command: click.Command, arguments: list[str]) -> None:
    """Raises click's own error for a command, option or value that there is none of; and where a --set does not fit."""
    with click.Context(command) as context:
        while isinstance(command, click.Group):
            _, found, arguments = command.resolve_command(context, arguments)
            assert found is not None
            command = found
    inner = command.make_context(command.name, list(arguments))
    settings = inner.params.get("settings", ())
    if (given := inner.params.get("config")) is not None:
        path = Path(given)
        path = path if path.exists() else ROOT / "configs" / path.name
        if path.exists():
            config.override(config.load_file(path), settings)
