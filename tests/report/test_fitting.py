"""Weights against configs that they are known to fit or not: PyTorch's names and shapes, and changes made by hand."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from flax import serialization
from reference import files
from safetensors.numpy import save_file
from tiny import tiny

from jaxlab.cli.main import main
from jaxlab.core.types import UserError
from jaxlab.report.alike import alike
from jaxlab.report.fitting import fits

pytestmark = pytest.mark.slow
CONFIG = """
from jaxlab.data import Images, RandomSplit, Simulated
from jaxlab.experiment import Experiment, Training
from jaxlab.models import LeNet5

experiment = Experiment(
    data=Simulated(images=10, test_images=2, neurons=3, size=32),
    images=Images(size=(32, 32), channels=1),
    split=RandomSplit(validation=0.2),
    model=LeNet5(),
    training=Training(steps=2, batch_size=4),
)
"""


@pytest.fixture(scope="module")
def inspected(tmp_path_factory):
    """(a weight file, ...) -> exit code and JSON of `inspect FILE --for CONFIG`."""
    config = tmp_path_factory.mktemp("config") / "lenet.py"
    config.write_text(CONFIG)

    def run(path, *more):
        arguments = ["inspect", str(path), "--for", str(config), *more]
        result = CliRunner().invoke(main, arguments, catch_exceptions=False)
        return result.exit_code, result.output

    return run


def test_a_networks_own_weights_load(inspected, tmp_path):
    save_file(files.state_dict("lenet5_32"), tmp_path / "a.safetensors")
    code, said = inspected(tmp_path / "a.safetensors", "--json")
    (found,) = json.loads(said)["fits"]
    assert (code, found["loads"], found["fitting"], found["wanted"]) == (0, True, 8, 8)
    assert found["skipped"] == {"the file's classifier": 2}
    assert found["mend"] == [f"--set model.pretrained={tmp_path / 'a.safetensors'}"]


def test_all_that_does_not_fit_is_named_with_what_mends_it(inspected, tmp_path):
    source = files.state_dict("lenet5_32") | {"more.weight": np.zeros(2, np.float32)}
    del source["fc2.bias"]
    source["conv2.weight"] = np.zeros((16, 6, 3, 3), np.float32)
    save_file(source, tmp_path / "a.safetensors")
    code, said = inspected(tmp_path / "a.safetensors", "--json")
    report = json.loads(said)
    (found,) = report["fits"]
    assert (code, report["loads"], found["fitting"], found["wanted"]) == (1, False, 6, 8)
    assert found["problems"] == {
        "missing from the file": ["fc2.bias"],
        "not expected in the file": ["more.weight"],
        "of another shape": ["conv2.weight (as conv2.kernel (3, 3, 6, 16), the model's is (5, 5, 6, 16))"],
    }
    code, said = inspected(tmp_path / "a.safetensors")
    assert code == 1
    assert "would not load" in said
    assert "missing from the file: fc2.bias" in said
    assert "--set model.FIELD=VALUE" in " ".join(said.split())


def test_another_familys_names_are_recognised(inspected, tmp_path):
    shapes = files.key_shapes("resnet18_torchvision")
    save_file(
        {key: np.zeros([1] * len(shape), np.float32) for key, shape in shapes.items()},
        tmp_path / "a.safetensors",
    )
    code, said = inspected(tmp_path / "a.safetensors", "--json")
    (found,) = json.loads(said)["fits"]
    assert (code, found["fitting"]) == (1, 0)
    assert (
        found["mend"][-1] == "100% of the file's keys are those of ResNet: give the config model=ResNet(...)"
    )


def test_msgpack_is_compared_by_names_and_not_loaded(inspected, tmp_path):
    tree = {"params": {"fc1": {"kernel": np.zeros((400, 120)), "bias": np.zeros(7)}, "x": np.zeros(2)}}
    (tmp_path / "a.msgpack").write_bytes(serialization.to_bytes(tree))
    code, said = inspected(tmp_path / "a.msgpack", "--json")
    (found,) = json.loads(said)["fits"]
    assert (code, found["loads"], found["fitting"], found["wanted"]) == (1, False, 1, 8)
    assert found["problems"]["of another shape"] == ["fc1.bias ((7,), the model's is (120,))"]
    assert found["problems"]["not expected in the file"] == ["params.x"]
    assert "write these arrays as .safetensors" in found["mend"][0]


def test_names_are_compared_by_their_ends():
    ours = {"conv.kernel": (3, 3), "conv.bias": (3,), "v.kernel": (1,)}
    theirs = {
        "model.conv.kernel.value": (3, 3),
        "model.xconv.bias": (3,),
        "a.v.kernel": (1,),
        "b.c.v.kernel": (9,),
    }
    found = alike(theirs, ours)
    assert found.fitting == 2
    assert found.problems == {
        "missing from the file": ["conv.bias"],
        "not expected in the file": ["model.xconv.bias", "b.c.v.kernel"],
    }


def test_runs_and_their_checkpoints(trained, arrays_npz, tmp_path):
    same, other = tiny(arrays_npz), tiny(arrays_npz, "model.channels=[4,5]")
    (loads,) = fits(trained / "checkpoints" / "9", same)
    assert loads.loads
    assert loads.mend == (f"--set model.pretrained='{trained}#9'",)
    (not_so,) = fits(trained, other)
    assert not not_so.loads
    assert "model.channels is (4, 5), the run's (4, 6)" in not_so.why
    alone = shutil.copytree(trained / "checkpoints" / "9", tmp_path / "9")
    with pytest.raises(UserError, match="expected a checkpoint within its run"):
        fits(alone, same)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--for", "quickstart", "--stats"], "--for: has no part in --stats"),
        (["--set", "model.depth=50"], "--set: expected --for CONFIG with it"),
        (["--for", "quickstart"], "no such file or folder"),
        (["--for", "ridge_poled"], "no such file, nor a config that ships"),
    ],
)
def test_what_goes_not_together_is_one_sentence(tmp_path, arguments, words):
    result = CliRunner().invoke(main, ["inspect", str(tmp_path / "a.safetensors"), *arguments])
    assert result.exit_code == 1
    assert words in result.stderr
