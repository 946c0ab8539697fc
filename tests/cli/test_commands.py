"""Every command and every config, run tiny on a simulated Kaggle folder."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from flax import nnx
from rich.console import Console
from tiny import task_of

import submit
from jaxlab.cli.arguments import RunPath
from jaxlab.cli.evaluate import print_scores
from jaxlab.cli.main import main
from jaxlab.core.config import load_file
from jaxlab.core.tree import flatten
from jaxlab.data import Gestures, Normalize, Simulated
from jaxlab.encode import CachedFeatures, Ridge
from jaxlab.experiment import Experiment
from jaxlab.experiment.recipe import recalled

REPOSITORY = Path(__file__).parents[2]
CONFIGS = sorted((REPOSITORY / "configs").glob("*.py"))
# In test_data_mnist.py, test_data_nx414.py and test_data_easyvqa.py.
ELSEWHERE = ("mnist_lenet5", "biobjective_resnet", "easyvqa")
# Some train what others train: readout first is efficientnet_finetune's first phase, vit_base is tiny here, and pooled
# ones are efficientnet_finetune and ridge on several folders, of which runs/test_subjects.py has smaller ones.
AGAIN = ("efficientnet_readout", "vit_tiny_finetune", "pooled", "ridge_pooled")
ON_FOLDERS = [
    pytest.param(config, id=config.stem, marks=[pytest.mark.exhaustive] if config.stem in AGAIN else [])
    for config in CONFIGS
    if config.stem not in ELSEWHERE
    and not config.stem.startswith("pretext_")  # which test_pretext_commands.py trains
]
# What makes a config small enough for two steps here.
SMALL, TINY = "images.size=(32, 32)", "images.size=(16, 16)"
SINGLE = (
    "training.parallel=single"  # compiles a fifth sooner; the ways to share batches have tests of their own
)
SHRUNK = {  # of a large network the lower layers alone are read, so that no others are compiled
    "resnet_finetune": [SMALL, "model.depth=18", "head.layer=layer1", SINGLE],
    "efficientnet_finetune": [
        SMALL,
        "head.layer=('block1', 'block2')",
        "finetune.rules.0.through=block0",
        SINGLE,
    ],
    "efficientnet_readout": [SMALL, SINGLE],
    "vit_base_finetune": [SMALL, "model.size=tiny", "head.layer=block1", SINGLE],
    "vit_tiny_finetune": [SMALL, SINGLE],
    "gesture_resnet18": [SMALL],
    "gesture_shufflenet_x0_5": [SMALL],
    "gesture_shufflenet_x1_0": [SMALL],
    "gesture_lenet5": [SMALL],
    "gesture_pipeline": [SMALL, SINGLE],
    "weighted_classification": [SMALL, SINGLE],
    "spread_loss": [TINY],
    "squashed_regression": [TINY],
    "per_roi": [TINY, "head.parts.0.targets=n[0-2]", "head.parts.1.targets=n[3-5]"],
    # Both of the same encoder, so that one program serves both.
    "cached_readout": [
        "data.encoders.0.images.size=(32, 32)",
        "data.encoders.0.layers=('block1', 'block2')",
        "head.layer=('block1', 'block2')",
        SINGLE,
    ],
    "ridge": ["encoders.0.images.size=(32, 32)", "encoders.0.layers=('block1', 'block2')"],
    "ridge_pooled": ["encoders.0.images.size=(32, 32)", "encoders.0.layers=('block1', 'block2')"],
    "pooled": [
        SMALL,
        "head.layer=('block1', 'block2')",
        "finetune.rules.0.through=block0",
        SINGLE,
    ],
    "ridge_networks": [
        "encoders.0.images.size=(32, 32)",
        "encoders.0.model.width=0.35",
        "encoders.1.images.size=(28, 28)",
        *(f"encoders.{k}.layers=('block1', 'block2')" for k in range(2)),
    ],
}
SHALLOW = (
    "from dataclasses import replace\n\nfrom jaxlab.models import ShallowCNN\n\n"
    "experiment = replace(experiment, model=ShallowCNN(channels=(4,), kernel_sizes=(3,)))\n"
)
# What is written below it, where settings do not suffice: its first two networks are of ridge.py's family; of ResNets
# resnet_finetune.py trains one, of ShuffleNets `make test-all` one, with gesture_pipeline.py.
CUT = {
    "gesture_resnet18": SHALLOW,
    "gesture_shufflenet_x0_5": SHALLOW,
    "gesture_shufflenet_x1_0": SHALLOW,
    "ridge_networks": "from dataclasses import replace\n\n"
    "experiment = replace(experiment, encoders=experiment.encoders[2:])\n",
}
if not os.environ.get("JAXLAB_TEST_ALL"):
    CUT["gesture_pipeline"] = SHALLOW
OF_GESTURES = [
    "weighted_classification",
    *(config.stem for config in CONFIGS if config.stem.startswith("gesture")),
]
POOLED = ("pooled", "ridge_pooled")  # of several folders
ROOT = {"cached_readout": "data.data.root"}  # elsewhere data.root


def jaxlab(*arguments: object, code: int = 0) -> str:
    """What the command printed, both streams."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output + repr(result.exception)
    return result.output


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A Kaggle folder: 60 images of 32 px, 12 to predict, 6 neurons."""
    path = tmp_path_factory.mktemp("kaggle")
    Simulated(images=60, test_images=12, neurons=6, size=32).write_kaggle(path)
    return path


@pytest.fixture(scope="session")
def gestures(tmp_path_factory):
    """A Kaggle folder: 60 images of 32 px, 12 to predict, 5 gestures."""
    path = tmp_path_factory.mktemp("gestures")
    Gestures(images=60, test_images=12, size=32).write_kaggle(path)
    return path


@pytest.fixture(scope="session")
def run(folder, tmp_path_factory):
    """A finished run of the shallow CNN's config, with its EMA and its averaged predictions."""
    path = tmp_path_factory.mktemp("runs") / "shallow"
    settings = ["images.size=(16, 16)", "training.epochs=2", "training.batch_size=16", f"data.root={folder}"]
    jaxlab(
        "train",
        REPOSITORY / "configs/shallow_cnn.py",
        "--run",
        path,
        *(x for s in settings for x in ("--set", s)),
    )
    return path


def parameters(of):
    """In the place of `initial_parameters`: of each path and leaf what `of` makes, nothing compiled."""

    def made(build, *_):
        split = nnx.state(nnx.eval_shape(build), nnx.Param, nnx.BatchStat)
        return tuple(
            {path: of(path, leaf).astype(leaf.dtype) for path, leaf in flatten(s).items()} for s in split
        )

    return made


def drawn(path, leaf):
    """As networks begin, roughly: scales and variances of one, kernels at random."""
    if path.endswith((".scale", ".var")):
        return np.ones(leaf.shape)
    return 0.1 * np.random.default_rng(0).normal(size=leaf.shape)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_config_builds_at_full_size(config, monkeypatch):
    blank = parameters(lambda path, leaf: np.zeros(leaf.shape))
    monkeypatch.setattr("jaxlab.encode.encoder.initial_parameters", blank)
    experiment = load_file(config)
    if isinstance(experiment, Ridge):
        assert [one.load().layers for one in experiment.smoke().encoders]
        return
    assert isinstance(experiment, Experiment)
    encoders, images = (), experiment.images
    if isinstance(experiment.data, CachedFeatures):
        encoders = tuple(one.load().record() for one in experiment.data.smoke().encoders)
        images = experiment.data.encoders[0].images
    assert images.size is not None
    targets: tuple[str, ...] = ("n00", "n20", "n30")
    if experiment.pretext is not None:
        targets = experiment.pretext.targets((*images.size, images.channels))
    reads = hasattr(experiment.model, "tokenizer")
    language = {"tokenizer": "", "words": ["is", "what"], "length": 8} if reads else {}
    task = task_of(experiment, targets, images, Normalize(), encoders=encoders, language=language)
    _, params, _ = recalled(experiment, task).shapes
    bias = re.compile(
        r"(objectives\.\w+\.)?(bias|norm\.bias|parts\.\w+\.bias)"
    )  # of a squashed head a norm's, of regions their heads'
    biases = [leaf for path, leaf in flatten(params["head"]).items() if bias.fullmatch(path)]
    if experiment.pretext is None:
        assert sum(len(leaf) for leaf in biases) == 3 * len(experiment.goals)


@pytest.mark.slow
@pytest.mark.parametrize("config", ON_FOLDERS)
def test_config_trains_two_steps_and_predicts(
    config, folder, gestures, pooled_folders, tmp_path, monkeypatch
):
    if config.stem in SHRUNK:  # of the others networks begin as ever
        for room in ("encode.encoder", "experiment.recipe"):
            monkeypatch.setattr(f"jaxlab.{room}.initial_parameters", parameters(drawn))
    folder = gestures if config.stem in OF_GESTURES else folder
    folder = pooled_folders if config.stem in POOLED else folder
    settings = [f"{ROOT.get(config.stem, 'data.root')}={folder}", *SHRUNK.get(config.stem, [])]
    flags = [part for setting in settings for part in ("--set", setting)]
    if config.stem in CUT:
        cut = tmp_path / config.name
        cut.write_text(f"{config.read_text()}\n{CUT[config.stem]}")
        config = cut
    jaxlab("train", config, "--smoke", "--run", tmp_path / "run", *flags)
    if config.stem in POOLED:
        jaxlab("predict", tmp_path / "run", "--out", tmp_path)
        files = {tmp_path / f"{name}.csv": folder / name / "sample_submission.csv" for name in ("s1", "s2")}
    else:
        jaxlab("predict", tmp_path / "run", "--out", tmp_path / "out.csv")
        files = {tmp_path / "out.csv": folder / "sample_submission.csv"}
    for file, sample in files.items():
        assert submit.check(file, sample) == []
    records = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    steps = [] if isinstance(load_file(config), Ridge) else [1, 2]
    assert [record["step"] for record in records if record["split"] == "step"] == steps


@pytest.mark.slow
def test_smoke_has_a_run_directory_of_its_own(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = REPOSITORY / "configs/shallow_cnn.py"
    for _ in range(2):  # the second is as fresh as the first
        flags = ["--smoke", "--set", f"data.root={folder}", "--set", "images.size=(16, 16)"]
        assert "epoch   1" in jaxlab("train", config, *flags, "--set", "training.parallel=data")
    (made,) = (path for path in Path("runs").iterdir() if path.is_dir())  # the registry lies beside it
    assert re.fullmatch(r"shallow_cnn-smoke-[0-9a-f]{8}", made.name)


@pytest.mark.slow
def test_run_directory_holds_what_it_should(run):
    for name in ("config.json", "config.py", "run.json", "metrics.jsonl", "plots/curves.png"):
        assert (run / name).stat().st_size > 0, name
    assert list((run / "events").iterdir())
    assert (run / "config.py").read_text() == (REPOSITORY / "configs/shallow_cnn.py").read_text()
    info = json.loads((run / "run.json").read_text())
    assert info["schema"] == 1
    assert len(info["data"]["fingerprint"]) == 64
    assert info["versions"]["jax"]
    assert info["devices"]["cores"] >= 1


@pytest.mark.slow
def test_predictions_are_a_mean_over_runs_by_id(run, folder, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(run, other)
    jaxlab("predict", run, "--out", tmp_path / "one.npz")
    first = submit.Predictions.load(run / "predictions/test.npz")
    sample = pd.read_csv(folder / "sample_submission.csv", dtype={"image_id": str})
    assert set(first.ids) == set(sample["image_id"])
    assert first.provenance["digest"]
    assert first.provenance["config"]["type"] == "Experiment"

    jaxlab("predict", run, other, "--out", tmp_path / "two.csv", "--checkpoint", "last")
    written = pd.read_csv(tmp_path / "two.csv", dtype={"image_id": str}).set_index("image_id")
    last = submit.Predictions.load(other / "predictions/test.npz")
    np.testing.assert_allclose(written.loc[last.ids].to_numpy(), last.values, rtol=1e-6)


@pytest.mark.slow
def test_predicting_elsewhere_needs_the_test_images_alone(run, folder, tmp_path):
    shutil.copytree(folder / "test", tmp_path / "moved/test")
    shutil.copy(folder / "sample_submission.csv", tmp_path / "moved")
    jaxlab("predict", run, "--out", tmp_path / "here.csv")
    jaxlab("predict", run, "--out", tmp_path / "there.csv", "--set", f"data.root={tmp_path / 'moved'}")
    assert (tmp_path / "here.csv").read_bytes() == (tmp_path / "there.csv").read_bytes()


@pytest.mark.slow
def test_python_api_predicts_folders_files_and_arrays_alike(run, folder):
    import jaxlab as package
    from jaxlab.data.readers.image_files import read_image

    loaded = package.load(run)
    files = sorted((folder / "test").iterdir())
    by_folder = loaded.predict(folder / "test")
    assert by_folder.shape == (12, 6)
    np.testing.assert_array_equal(by_folder, loaded.predict(files))
    np.testing.assert_array_equal(by_folder, loaded.predict(np.stack([read_image(file) for file in files])))
    np.testing.assert_allclose(loaded.predict(files[3])[0], by_folder[3], rtol=1e-5)
    jaxlab("predict", run, "--out", folder / "api.npz")
    test = submit.Predictions.load(folder / "api.npz")
    np.testing.assert_array_equal(
        by_folder, submit.align(test, np.array([file.stem for file in files])).values
    )


@pytest.mark.slow
def test_arrays_that_are_not_the_runs_kind_of_images_are_refused(run):
    import jaxlab as package

    loaded = package.load(run)
    pixels = np.zeros((2, 32, 32, 3), np.uint8)
    wrong = {
        "expected uint8": pixels.astype(np.int64),
        "expected uint8, as the run": pixels.astype(np.float32),
        r"looks like one image; pass images\[None\]": pixels[0],
        r"found \(2, 32, 32, 4\)": np.zeros((2, 32, 32, 4), np.uint8),
        "no images": pixels[:0],
    }
    for words, images in wrong.items():
        with pytest.raises(package.UserError, match=words):
            loaded.predict(images)


@pytest.mark.slow
def test_a_checkpoint_that_is_neither_word_nor_step_is_refused(run, tmp_path):
    error = jaxlab("predict", run, "--out", tmp_path / "x.csv", "--checkpoint", "lats", code=1)
    assert "expected best, last or a step, found 'lats'" in error
    assert "no checkpoint 99; there are" in jaxlab(
        "predict", run, "--out", tmp_path / "x.csv", "--checkpoint", 99, code=1
    )


@pytest.mark.slow
def test_a_damaged_best_falls_back_to_the_one_before_it(run, folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    newest = max((copy / "checkpoints").iterdir(), key=lambda path: int(path.name))
    (newest / "manifest.json").write_text(
        (newest / "manifest.json").read_text().replace('"files"', '"filed"')
    )
    said = jaxlab("predict", copy, "--out", tmp_path / "x.csv", "--checkpoint", "last")
    assert f"checkpoint {newest.name} is damaged" in said
    step = submit.Predictions.load(copy / "predictions/test.npz").provenance["step"]
    assert step < int(newest.name)


def test_scores_with_a_ceiling_fit_eighty_columns(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    names = ("loss", "pearson", "pearson_median", "explained_variance", "mse", "constant_targets")
    scores = {12345: {"validation": dict.fromkeys((*names, "noise_normalised"), -0.12345)}}
    print_scores(Console(), scores)
    shown = capsys.readouterr().out
    assert "…" not in shown
    assert "validation" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_evaluate_json_has_null_for_what_is_undefined(monkeypatch, tmp_path):
    """As of a single validation sample; NaN is no JSON."""
    scores = {3: {"validation": {"pearson": float("nan"), "mse": 0.5}}}
    run = SimpleNamespace(predicting=lambda objective: None, evaluation=lambda checkpoints: scores)
    monkeypatch.setattr("jaxlab.runs.api.load", lambda path, settings: run)
    monkeypatch.setattr(RunPath, "convert", lambda self, path, *_: path)
    found = json.loads(jaxlab("evaluate", tmp_path, "--json"), parse_constant=pytest.fail)
    assert found == {"3": {"validation": {"pearson": None, "mse": 0.5}}}


@pytest.mark.slow
def test_evaluate_agrees_with_training_and_fills_in_what_is_missing(run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    records = [json.loads(line) for line in (copy / "metrics.jsonl").read_text().splitlines()]
    known = {record["step"]: record for record in records if record["split"] == "validation"}
    kept = [record for record in records if record["split"] != "validation"]
    (copy / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in kept))

    scores = json.loads(jaxlab("evaluate", copy, "--checkpoints", "all", "--json"))
    refilled = [json.loads(line) for line in (copy / "metrics.jsonl").read_text().splitlines()]
    assert {r["step"] for r in refilled if r["split"] == "validation"} == {int(step) for step in scores}
    for step, by_split in scores.items():
        assert by_split["validation"]["pearson"] == pytest.approx(known[int(step)]["pearson"], abs=1e-6)
    assert "pearson" in jaxlab("evaluate", copy)


@pytest.mark.slow
def test_shuffled_ids_collapse_the_score(folder, tmp_path):
    """A network that has learnt something scores well by id, and nothing when ids are dealt out anew."""
    data = tmp_path / "data"
    Simulated(images=400, test_images=100, neurons=12, size=16, repeats=20).write_kaggle(data)
    settings = [
        "images.size=(16, 16)", "model.channels=(8, 12, 16)", "model.kernel_sizes=(3, 3, 3)", "training.epochs=12",
        "training.batch_size=40", f"data.root={data}",
    ]  # fmt: skip
    flags = [part for setting in settings for part in ("--set", setting)]
    jaxlab("train", REPOSITORY / "configs/quickstart.py", "--run", tmp_path / "run", *flags)
    jaxlab("predict", tmp_path / "run", "--out", tmp_path / "out.npz")
    right = submit.Predictions.load(tmp_path / "out.npz")
    rows = np.random.default_rng(0).permutation(len(right.ids))
    wrong = submit.Predictions(ids=right.ids[rows], values=right.values, targets=right.targets)
    by_id, dealt = (submit.score(p, data / "solution.csv").mean for p in (right, wrong))
    assert by_id > 0.4  # seen: 0.58
    assert abs(dealt) < 0.1


@pytest.mark.slow
def test_classification_from_images_to_class_names(tmp_path):
    data = tmp_path / "data"
    Simulated(images=80, test_images=10, size=32, kind="classification", categories=3).write_kaggle(data)
    (tmp_path / "config.py").write_text(
        (REPOSITORY / "configs/quickstart.py")
        .read_text()
        .replace("Experiment(\n", "Experiment(\n    loss=CrossEntropy(),\n", 1)
        .replace("from jaxlab.models", "from jaxlab.losses import CrossEntropy\nfrom jaxlab.models")
    )
    flags = ["--set", f"data.root={data}", "--set", "images.size=(16, 16)", "--smoke"]
    jaxlab("train", tmp_path / "config.py", "--run", tmp_path / "run", *flags)
    jaxlab("predict", tmp_path / "run", "--out", tmp_path / "out.csv")
    assert submit.check(tmp_path / "out.csv", data / "sample_submission.csv") == []
    names = set(pd.read_csv(data / "train.csv", dtype=str)["label"])
    assert set(pd.read_csv(tmp_path / "out.csv", dtype=str)["label"]) <= names
    assert "accuracy" in json.loads(jaxlab("evaluate", tmp_path / "run", "--json"))["2"]["validation"]


def test_simulate_writes_the_sizes_asked_for(tmp_path):
    jaxlab("simulate", tmp_path, "--images", 5, "--test-images", 3, "--neurons", 4, "--size", 16)
    assert pd.read_csv(tmp_path / "train.csv").shape == (5, 5)
    assert pd.read_csv(tmp_path / "sample_submission.csv").shape == (3, 5)
    assert len(list((tmp_path / "train").iterdir())) == 5


def test_configs_are_listed_and_copied(tmp_path):
    listed = jaxlab("configs", "list")
    assert all(config.name in listed for config in CONFIGS)
    jaxlab("configs", "copy", "quickstart", tmp_path)
    assert (tmp_path / "quickstart.py").read_text() == (REPOSITORY / "configs/quickstart.py").read_text()
    assert "exists already" in jaxlab("configs", "copy", "quickstart", tmp_path, code=1)
    assert "quickstart" in jaxlab("configs", "copy", "nothing", tmp_path, code=1)


def commands(group, *path):
    """(names, command) of the group and of all in it."""
    yield path, group
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, *path, name)


@pytest.mark.parametrize(
    ("path", "command"), [pytest.param(*pair, id=" ".join(pair[0]) or "jaxlab") for pair in commands(main)]
)
def test_help_names_every_option_and_says_what_each_is_for(path, command):
    shown = jaxlab(*path, "--help")
    assert " ".join(["Usage: main", *path]) in shown
    options = [part for part in command.params if isinstance(part, click.Option)]
    assert [option.name for option in options if not option.help] == []
    told = [name for option in options if not option.hidden for name in option.opts]
    assert [name for name in told if name not in shown] == []
    for name in getattr(command, "commands", ()):
        assert re.search(rf"^  {name}  +\w", shown, re.M), name


def test_a_mistake_has_no_traceback(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "jaxlab", "train", str(tmp_path / "none.py")],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert result.stderr.startswith("error: config ")
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("group", [main, main.commands["data"], main.commands["configs"]])
def test_each_command_is_said_on_a_line_of_eighty_columns(group):
    """Of which click leaves 78, takes 6 for margins, and cuts off with dots what does not fit."""
    width = 78 - 6 - max(map(len, group.commands))
    said = [command.get_short_help_str(width) for command in group.commands.values()]
    assert [line for line in said if line.endswith("...") or not line] == []
