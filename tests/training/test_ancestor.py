"""A run as pretrained weights: what its best checkpoint holds, and all that does not fit said at once."""

import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from flax import nnx
from rich.console import Console
from tiny import tiny, train

from jaxlab.bundling.runs import copy_weights
from jaxlab.cli.main import main
from jaxlab.core import tree
from jaxlab.core.types import UserError
from jaxlab.data import Images
from jaxlab.encode import ImageEncoder
from jaxlab.models import ResNet, ShallowCNN
from jaxlab.runs import api
from jaxlab.runs.network.weights import changed_weights
from jaxlab.training import journal
from jaxlab.training.ancestor import load_weights
from jaxlab.training.checkpoint import saved

MODEL = ShallowCNN(channels=(4, 6), kernel_sizes=(3, 3))  # without the run's dropout


def loaded(source, model=MODEL, channels: int = 3, further: int = 0):
    _, params, stats = nnx.split(
        nnx.eval_shape(lambda: model.build(channels, nnx.Rngs(0))), nnx.Param, nnx.BatchStat
    )
    return load_weights(model, str(source), tree.flatten(params), tree.flatten(stats), further)


def best_arrays(run):
    """Of the checkpoint that the journal's best validation names, straight from the disk."""
    scores = journal.validations(run / "metrics.jsonl")
    step = max(scores, key=lambda one: scores[one]["pearson"])
    return step, next(one for one in saved(run / "checkpoints") if one.step == step).arrays()


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def test_the_backbone_of_the_best_checkpoint_is_taken_with_its_averages(trained):
    step, arrays = best_arrays(trained)
    params, stats, record = loaded(trained)
    for found, field in ((params, "ema"), (stats, "stats")):
        assert found
        for path, leaf in found.items():
            np.testing.assert_array_equal(leaf, arrays[field][f"backbone.{path}"])
    assert any(
        (arrays["ema"][f"backbone.{path}"] != arrays["params"][f"backbone.{path}"]).any() for path in params
    )
    assert (record["run"]["step"], record["run"]["parameters"]) == (step, "ema")
    last, _, record = loaded(f"{trained}#last")
    assert record["run"]["step"] == 12
    assert record["sha256"] == tree.digest({**last, **_})


def test_a_grey_image_has_the_effect_of_its_three_equal_channels(trained):
    """timm's rule, as for files; and further channels begin without any."""
    kernel = loaded(trained)[0]["levels.0.conv.kernel"]
    grey, _, record = loaded(trained, channels=1)
    np.testing.assert_allclose(grey["levels.0.conv.kernel"], kernel.sum(2, keepdims=True), rtol=1e-6)
    assert record["stem"] == "summed over 3 channels"
    wider, _, record = loaded(trained, channels=5, further=2)
    expected = np.concatenate([kernel, np.zeros_like(kernel[:, :, :2])], 2)
    np.testing.assert_array_equal(wider["levels.0.conv.kernel"], expected)
    assert record["widened"] == "levels.0.conv.kernel"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": ResNet()}, r"do not fit ResNet: its network is a 'ShallowCNN'; expected model=ResNet\("),
        (
            {"model": replace(MODEL, channels=(4, 8), activation="relu")},
            r"model.channels is \(4, 8\), the run's \(4, 6\); model.activation is 'relu', the run's 'gelu'",
        ),
        (
            {"channels": 7, "further": 0, "edit": ("config.json", '"channels": 3,', '"channels": 1,')},
            r"conv.kernel ..3, 3, 3, 4., the model's .3, 3, 7, 4... The run saw images.channels=3",
        ),
        ({"part": "#7"}, r"no checkpoint 7; there are \[\d+, 12\]|no checkpoint 7; there are \[.*12\]"),
        ({"part": "#worst"}, r"expected best, last or a checkpoint's step behind the #, found 'worst'"),
        (
            {"edit": ("config.json", '"type": "Experiment"', '"type": "Ridge"')},
            r"run of one network .* found a Ridge",
        ),
        (
            {"edit": ("config.json", '"activation": "gelu"', '"activation": 3')},
            r"ShallowCNN.activation: expected",
        ),
        (
            {"edit": ("run.json", '"type": "Normalize"', '"type": "Flip"')},
            r"run.json has no Normalize of this version",
        ),
        ({"gone": "checkpoints"}, r"this run has no checkpoint yet; train it first"),
    ],
)
def test_what_does_not_fit_is_said(run, given, message):
    if "gone" in given:
        shutil.rmtree(run / given["gone"])
    if "edit" in given:
        name, old, new = given["edit"]
        text = (run / name).read_text()
        if "channels" in given:
            (run / "run.json").write_text((run / "run.json").read_text().replace(old, new))
        else:
            assert old in text
            (run / name).write_text(text.replace(old, new))
    with pytest.raises(UserError, match=message):
        loaded(
            f"{run}{given.get('part', '')}", given.get("model", MODEL), given.get("channels", 3),
            given.get("further", 0),
        )  # fmt: skip


def test_an_experiment_begins_from_a_run_and_says_so(arrays_npz, run, tmp_path):
    """Prepared as the run was, with its ancestry on record; a run that gives something else now is noticed."""
    settings = (f"model.pretrained={run}", "training.steps=1", "training.epochs=none", "training.ema=none")
    info = json.loads((run / "run.json").read_text())
    info["task"]["normalize"] |= {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
    (run / "run.json").write_text(json.dumps(info))
    experiment = tiny(arrays_npz, *settings)
    child = train(experiment, tmp_path / "child")
    made = json.loads((child / "run.json").read_text())
    step, _ = best_arrays(run)
    assert made["weights"]["run"]["step"] == step
    assert made["task"]["normalize"]["mean"] == [0.1, 0.2, 0.3]
    shown = CliRunner().invoke(main, ["inspect", str(child)], catch_exceptions=False).output
    said = f"{run}, step {step} (SHA-256 {made['weights']['sha256'][:12]}"
    assert "".join(said.split()) in "".join(shown.split())  # a long path is folded
    assert changed_weights(made["weights"], made["weights"], replace(MODEL, pretrained=f"{run}#last")) != []
    with pytest.raises(UserError, match=r"the weights of .*#last: \w{12} -> \w{12}\. Give another --run"):
        train(tiny(arrays_npz, *settings[1:], f"model.pretrained={run}#last"), child)
    shutil.rmtree(run)
    out = io.StringIO()
    api.train(experiment, child, console=Console(file=out, width=200))
    assert "all 1 steps are done" in out.getvalue()


def test_an_encoder_and_a_bundle_take_a_run(trained, tmp_path):
    encoder = ImageEncoder(model=replace(MODEL, pretrained=f"{trained}#last"), images=Images(size=(16, 16)))
    frozen = encoder.load().frozen
    arrays = next(one for one in saved(trained / "checkpoints") if one.step == 12).arrays()
    for path, leaf in frozen.variables[0].items():
        np.testing.assert_array_equal(leaf, arrays["ema"][f"backbone.{path}"])
    copy_weights(trained, tmp_path / "weights" / "0")
    assert not (tmp_path / "weights/0/predictions/test.npz").exists()
    copied = replace(encoder, model=replace(MODEL, pretrained=f"{tmp_path / 'weights/0'}#last"))
    assert copied.load().frozen.digest == frozen.digest
