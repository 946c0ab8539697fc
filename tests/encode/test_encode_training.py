"""Training on cached features is training with the frozen network in the loop; and what is refused."""

import io
import json
import re
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import jax
import killed
import numpy as np
import processes
import pytest
from click.testing import CliRunner
from encoding import encoder, pixels, weights
from PIL import Image
from rich.console import Console
from tiny import task_of, tiny

from jaxlab.cli.main import main
from jaxlab.core.config import to_json
from jaxlab.core.types import UserError
from jaxlab.data import Arrays, Flip, Images, Normalize, Simulated
from jaxlab.encode import CachedFeatures, FeatureSet
from jaxlab.encode.command import _table
from jaxlab.encode.extract import StoredLayer
from jaxlab.encode.store import Layer
from jaxlab.experiment import Experiment, Training
from jaxlab.experiment.seen import input_of
from jaxlab.experiment.task import Task
from jaxlab.heads import Factorized, Gaussian, Linear, Sum
from jaxlab.models import Features, LeNet5
from jaxlab.optim import SGD, AdamW, FineTune, Freeze
from jaxlab.runs import api
from jaxlab.runs.api import load
from jaxlab.training import journal
from jaxlab.training.sharding import Layout

LAYERS = ("level1", "fc1")
HEAD = Linear(layer=LAYERS, normalize=True, dropout=0.2)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return weights(tmp_path_factory.mktemp("weights") / "lenet.safetensors")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXLAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


def cached(root, file, *layers, head=HEAD, training=None, **fields) -> Experiment:
    """The tiny experiment on features of `layers`."""
    source = CachedFeatures(
        data=Arrays(root=str(root)), encoders=(encoder(file, *(layers or LAYERS), **fields),)
    )
    return Experiment(
        data=source,
        model=Features(),
        head=head,
        optimizer=SGD(lr=0.02),
        training=training or Training(epochs=3, batch_size=8),
    )


def in_the_loop(root, file, **fields) -> Experiment:
    one = cached(root, file, **fields).data.encoders[0]
    return replace(
        cached(root, file, **fields),
        data=Arrays(root=str(root)),
        model=one.model,
        images=one.images,
        normalize=one.normalize,
        finetune=FineTune(rules=(Freeze(pattern=r"^backbone\."),)),
    )


def trained(experiment, run) -> tuple[Path, str]:
    said = io.StringIO()
    return api.train(experiment, run, console=Console(file=said, width=200)), said.getvalue()


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def losses(run) -> list[float]:
    return [record["loss"] for record in journal.read(run / "metrics.jsonl", "step")]


@pytest.mark.slow
@pytest.mark.parametrize(
    "parallel", [*(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("single", "data")), "pmap"]
)
def test_as_with_the_frozen_network_in_the_loop(arrays_npz, file, tmp_path, parallel):
    """Dropout, batch norm of the features, scores, predictions and all: equal but for rounding."""
    assert jax.device_count() == 4
    training = Training(epochs=3, batch_size=8, ema=0.9, parallel=parallel)
    kinds = {"cached": cached, "loop": in_the_loop}
    runs = {
        name: trained(make(arrays_npz, file, training=training), tmp_path / name)[0]
        for name, make in kinds.items()
    }
    assert len(losses(runs["cached"])) == 15
    np.testing.assert_allclose(losses(runs["cached"]), losses(runs["loop"]), rtol=1e-4)
    found, expected = (load(runs[name]) for name in kinds)
    for split, scores in expected.evaluate("last").items():
        assert found.evaluate("last")[split] == pytest.approx(scores, rel=1e-3)
    for split in ("test", "validation"):
        mine, other = (run.predict_split(split, "last") for run in (found, expected))
        np.testing.assert_array_equal(mine.ids, other.ids)
        np.testing.assert_allclose(mine.values, other.values, rtol=1e-4)
    images = pixels(5, seed=3)
    np.testing.assert_allclose(
        found.predict(images, "last"), expected.predict(images, "last"), rtol=1e-4
    )  # new images
    ready = found.ready("last", size=8)
    files = [ready.taken(png(image), "a.png") for image in images]
    np.testing.assert_allclose(ready.predict(files), found.predict(images, "last"), rtol=1e-5)


@pytest.mark.slow
def test_bfloat16_features_agree_to_their_own_precision(arrays_npz, file, tmp_path):
    half, whole = (
        losses(trained(cached(arrays_npz, file, dtype=dtype), tmp_path / dtype)[0])
        for dtype in ("bfloat16", "float32")
    )
    assert half != whole
    np.testing.assert_allclose(half, whole, rtol=0.02)


@pytest.mark.slow
def test_spatial_readouts_read_cached_layers(arrays_npz, file, tmp_path):
    head = Sum(heads=(Factorized(layer="level1"), Gaussian(layer=("level1", "level2")), Linear(layer="fc1")))
    experiment = replace(
        cached(arrays_npz, file, "level1", "level2", "fc1", head=head), optimizer=AdamW(lr=1e-2)
    )
    run, _ = trained(experiment, tmp_path / "run")
    found = losses(run)
    assert np.mean(found[-5:]) < np.mean(found[:5])
    assert "readout" in CliRunner().invoke(main, ["inspect", str(run)]).output


@pytest.mark.slow
def test_only_positions_leave_the_host(arrays_npz, file, tmp_path, monkeypatch):
    sent = set()
    put = Layout.put_batch

    def seen(self, batch):
        sent.add((tuple(sorted(batch)), tuple(x.shape[1:] for x in jax.tree.leaves(batch))))
        return put(self, batch)

    experiment = cached(arrays_npz, file)
    trained(experiment, tmp_path / "first")  # the features
    monkeypatch.setattr(Layout, "put_batch", seen)
    trained(experiment, tmp_path / "second")
    assert sent == {
        (("image", "index", "truth"), ((), ())),
        (("image", "index", "mask", "truth"), ((), (), ())),
    }


@pytest.mark.slow
def test_normalised_floats_train_where_the_encoder_says_so(file, tmp_path):
    rng = np.random.default_rng(0)
    images, targets = rng.normal(size=(24, 16, 16, 3)), rng.normal(size=(24, 3))
    np.savez(tmp_path / "floats.npz", images=images.astype(np.float32), targets=targets)
    as_they_are = Normalize(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    run, _ = trained(cached(tmp_path / "floats.npz", file, normalize=as_they_are), tmp_path / "run")
    assert np.isfinite(losses(run)).all()
    with pytest.raises(UserError, match=r"ImageEncoder: the images are floats"):
        trained(cached(tmp_path / "floats.npz", file, normalize=None), tmp_path / "refused")


@pytest.mark.slow
def test_another_split_finds_the_features(arrays_npz, file, tmp_path):
    _, said = trained(cached(arrays_npz, file), tmp_path / "a")
    assert "features level1, fc1 of 44 samples" in said
    experiment = cached(arrays_npz, file)
    other = replace(experiment, split=replace(experiment.split, seed=5))
    assert "samples in" not in trained(other, tmp_path / "b")[1]


@pytest.mark.slow
def test_a_stopped_run_goes_on(arrays_npz, file, tmp_path):
    """In a process of its own each: the second goes on from the first one's checkpoint."""
    whole, _ = trained(
        cached(arrays_npz, file, training=Training(epochs=3, batch_size=8)), tmp_path / "whole"
    )
    config = tmp_path / "config.py"
    program = f"""
import sys
sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(Path(__file__).parents[1])!r}]
from pathlib import Path
from test_encode_training import cached
experiment = cached({str(arrays_npz)!r}, Path({str(file)!r}))
"""
    config.write_text(program)
    arguments = ["train", str(config), "--run", str(tmp_path / "run")]
    assert processes.run(killed.train, arguments, "step", 13).returncode == -signal.SIGKILL
    done = processes.run(killed.train, arguments)
    assert done.returncode == 0, done.stderr
    assert re.search(r"going on from step (5|10)", done.stderr)
    assert losses(tmp_path / "run") == losses(whole)


@pytest.mark.slow
def test_other_weights_are_not_taken_for_the_runs(arrays_npz, file, tmp_path):
    mine = Path(shutil.copy(file, tmp_path / "mine.safetensors"))
    experiment = cached(arrays_npz, mine)
    run, _ = trained(experiment, tmp_path / "run")
    expected = load(run).predict_split().values
    weights(mine, seed=5)
    with pytest.raises(UserError, match=r"other encoders: encoders\.0\.digest: .*--set data\.encoders\.0"):
        load(run).predict_split()
    with pytest.raises(UserError, match=r"made by a different config: encoders\.0\.digest"):
        trained(experiment, run)
    moved = load(run, [f"data.encoders.0.model.pretrained={file}"])
    np.testing.assert_array_equal(moved.predict_split().values, expected)


@pytest.mark.slow
def test_a_wrong_layer_is_told_before_anything_is_computed(arrays_npz, file, tmp_path, cache):
    with pytest.raises(UserError, match=r"no layer 'level2'; it has level1, fc1"):
        trained(cached(arrays_npz, file, head=Linear(layer="level2")), tmp_path / "run")
    with pytest.raises(UserError, match=r"LeNet5 has no layer 'top'; it has level1"):
        trained(cached(arrays_npz, file, "top"), tmp_path / "run")
    pooled = cached(arrays_npz, file, head=Factorized(layer="level1"), pool="mean")
    with pytest.raises(UserError, match=r"expected layers with height and width"):
        trained(pooled, tmp_path / "run")
    assert not cache.exists()
    assert not (tmp_path / "run").exists()


def test_parts_that_do_not_go_together_are_refused(arrays_npz, file):
    base = cached(arrays_npz, file)
    with pytest.raises(UserError, match=r"together or neither, found .*model=LeNet5"):
        replace(base, model=LeNet5())
    with pytest.raises(UserError, match=r"together or neither, found data=Arrays"):
        replace(base, data=Arrays())
    for field, value in {
        "augment": (Flip(),), "images": Images(size=(8, 8)), "normalize": Normalize()
    }.items():  # fmt: skip
        with pytest.raises(UserError, match=rf"Experiment: {field} cannot go .*data\.encoders\.0\.images"):
            replace(base, **{field: value})
    with pytest.raises(UserError, match=r"expected one or more, found none"):
        CachedFeatures(data=Arrays(), encoders=())
    with pytest.raises(UserError, match=r"found CachedFeatures"):
        CachedFeatures(data=base.data, encoders=base.data.encoders)


def test_a_task_of_features_survives_json(file):
    record = {"encoder": {}, "digest": "d", "layers": {"b": [2, 2, 3], "a": [5]}, "weights": None}
    experiment = Experiment(data=Simulated())
    task = task_of(experiment, ("t",), Images(size=(8, 8)), Normalize(), encoders=(record,))
    again = Task.from_json(json.loads(json.dumps(task.to_json())), experiment.goals)
    assert again.same_as(task)
    assert list(input_of(experiment, again).shape.items()) == [("b", (2, 2, 3)), ("a", (5,))]
    old = {name: value for name, value in task.to_json().items() if name != "encoders"}
    assert input_of(experiment, Task.from_json(old, experiment.goals)).shape == (8, 8, 3)


def test_smoke_downloads_no_encoder(arrays_npz, file):
    base = cached(arrays_npz, file)
    hub = replace(
        base.data,
        encoders=(replace(base.data.encoders[0], model=LeNet5(grid=1, pretrained="owner/name")),),
    )
    assert replace(base, data=hub).smoke().data.encoders[0].model == LeNet5(grid=1)
    assert base.smoke().data == base.data
    assert to_json(base)["data"]["encoders"][0]["type"] == "ImageEncoder"


@pytest.mark.slow
def test_the_command_prints_a_table_that_fits(arrays_npz, file, tmp_path):
    config = tmp_path / "config.py"
    config.write_text(
        "from jaxlab.data import Arrays, Images\n"
        "from jaxlab.experiment import Experiment, Training\n"
        "from jaxlab.heads import Linear\n"
        "from jaxlab.models import LeNet5\n"
        f"experiment = Experiment(data=Arrays(root={str(arrays_npz)!r}), images=Images(size=(16, 16)),\n"
        f"    model=LeNet5(grid=1, pretrained={str(file)!r}), head=Linear(layer=('fc1', 'level1')),\n"
        "    training=Training(steps=2))\n"
    )

    def run(*options, code=0):
        result = CliRunner().invoke(main, ["features", str(config), *options])
        assert result.exit_code == code, result.output
        return result.output if code else result.stdout

    shown = run()
    prepared, *lines = [line.rstrip() for line in shown.splitlines()]
    assert prepared.startswith("encoder LeNet5: area resizing to (16, 16), mean (")
    assert lines[:2] == ["labelled: 44 samples", "layer  shape     dtype    MB seconds file"]
    assert re.fullmatch(r"level1 6 x 6 x 6 float32 0\.0 +\d+\.\d level1\.none\.float32\.npy", lines[2])
    assert re.fullmatch(r"fc1 +120 .*fc1\.none\.float32\.npy", lines[3])
    assert Path(lines[4], "manifest.json").is_file()
    assert lines[5] == "test: 7 samples"
    assert max(len(line) for line in lines if "/" not in line) <= 80
    assert run().count("cached") == 4
    shown = run("--layers", "fc2,fc1", "--dtype", "bfloat16", "--pool", "mean")
    assert shown.index("fc2.mean.bfloat16.npy") < shown.index("fc1.mean.bfloat16.npy")
    assert len(re.findall(r"^(level1|level2|fc1|fc2) ", run("--layers", "all"), re.M)) == 8
    assert "has no layer 'nine'; it has level1" in run("--layers", "nine", code=1)


def test_long_names_of_layers_are_shown_whole():
    layer = Layer("layer1", "none", (60, 56, 56, 64), "float32")
    kept = StoredLayer(None, layer, np.zeros(0), None, 5.3)
    console = Console(file=io.StringIO(), width=80)
    console.print(
        _table("labelled: 60 samples", FeatureSet(np.arange(60), {"resnet18_imagenet/layer1": kept}))
    )
    assert "resnet18_imagenet/layer1 56 x 56 x 64 float32 48.2     5.3 layer1" in console.file.getvalue()


def test_the_tiny_experiment_is_unchanged(arrays_npz):
    """An experiment on images knows nothing of encoders."""
    assert "encoders" not in json.dumps(to_json(tiny(arrays_npz)))
