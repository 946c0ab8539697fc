"""What a training is said to take, beside counts made by hand."""

import re
from dataclasses import replace
from pathlib import Path

import jax
import pytest
from click.testing import CliRunner

from jaxlab.cli.main import main
from jaxlab.data import Flip, Images, Simulated
from jaxlab.experiment import Experiment, Folds, Search, Seeds, Training
from jaxlab.experiment.spaces import Choice
from jaxlab.heads import Factorized, Linear, Projection, chunks
from jaxlab.losses import NTXent
from jaxlab.models import ResNet, ShallowCNN
from jaxlab.nn.cpu import turns
from jaxlab.optim import AdamW, FineTune, Freeze
from jaxlab.pretext import Contrast
from jaxlab.report.estimate import _shapes
from jaxlab.runs.network.estimate import estimate

TINY = str(Path(__file__).parents[1] / "tiny_config.py")
SIDE, KERNEL, CHANNELS, NEURONS, BATCH = 32, 9, 32, 7, 8
EXPERIMENT = Experiment(
    data=Simulated(images=50, test_images=2, neurons=NEURONS, size=SIDE),
    images=Images(size=(SIDE, SIDE)),
    model=ShallowCNN(channels=(CHANNELS,), kernel_sizes=(KERNEL,), norm="none", activation="relu"),
    head=Linear(),
    optimizer=AdamW(),
    training=Training(epochs=3, batch_size=BATCH, ema=0.9, parallel="single"),
)
WEIGHTS = (
    KERNEL * KERNEL * 3 * CHANNELS + CHANNELS + CHANNELS * NEURONS + NEURONS
)  # pooled: a vector a channel


@pytest.fixture(scope="module")
def found():
    return estimate(EXPERIMENT, EXPERIMENT.data.open())


def test_parameters_updates_and_what_is_held(found):
    assert (found.parameters, found.trained) == (WEIGHTS, WEIGHTS)
    assert (found.samples, found.steps_per_epoch, found.steps) == ((45, 5), 5, 15)
    assert found.held["parameters"] == found.held["their average"] == found.held["gradients"] == 4 * WEIGHTS
    assert found.held["optimizer"] == pytest.approx(2 * 4 * WEIGHTS, rel=0.01)  # two moments, and counts
    assert found.held["batches, three ahead"] == 3 * BATCH * (SIDE * SIDE * 3 + 4 * NEURONS)


def test_operations_are_those_of_the_convolution(found):
    """Forward and the gradient of the kernel, each two a product; images need none. The rest is less than a quarter."""
    convolution = 2 * SIDE * SIDE * KERNEL * KERNEL * 3 * CHANNELS
    assert found.operations == pytest.approx(15 * BATCH * 2 * convolution, rel=0.25)


@pytest.mark.slow
def test_operations_of_a_known_network_are_the_known_ones():
    """ResNet-18 has 1.8 GMAC an image of 224 x 224 (He et al. 2015), three times that with both gradients.

    A CPU's forms of its layers have loops, whose turns would be counted once.
    """
    resnet = replace(EXPERIMENT, images=Images(size=(224, 224)), model=ResNet(depth=18))
    found = estimate(resnet, resnet.data.open())
    assert found.operations == pytest.approx(15 * BATCH * 3 * 2 * 1.81e9, rel=0.1)


def test_activations_are_what_the_gradient_needs(found):
    """Images for the gradient of the kernel, its output for that of relu; what picks maxima is less than both."""
    images, convolved = (4 * BATCH * SIDE * SIDE * channels for channels in (3, CHANNELS))
    assert images + convolved <= found.activations <= 2 * (images + convolved)


def test_what_many_images_keep_is_that_of_many(monkeypatch):
    """A level that takes a few of them at a time keeps its convolution's output alone, so that it computes once more;
    of so few that all go at once, what it normalises as well.
    """
    convolved = 4 * SIDE * SIDE * CHANNELS
    monkeypatch.setattr(turns, "CACHED", 2 * convolved)
    normalised = replace(EXPERIMENT, model=replace(EXPERIMENT.model, norm="batch"))

    def kept(shared):
        monkeypatch.setattr(turns, "SHARED", shared * convolved)
        return estimate(normalised, normalised.data.open()).activations / BATCH

    image = 4 * SIDE * SIDE * 3
    assert image + convolved <= kept(BATCH // 2) <= image + 1.3 * convolved
    assert kept(BATCH) >= image + 2 * convolved


def test_targets_in_several_parts_are_counted_as_in_one(monkeypatch):
    """XLA counts what a loop does once."""
    spatial = replace(EXPERIMENT, head=Factorized(layer="level1"))

    def counted(limit):
        for name in ("CPU_LIMIT", "LIMIT"):
            monkeypatch.setattr(chunks, name, limit)
        return estimate(spatial, spatial.data.open()).operations

    assert counted(1) == pytest.approx(counted(2**40), rel=0.01)


def test_frozen_layers_need_less():
    frozen = replace(EXPERIMENT, finetune=FineTune(rules=(Freeze(pattern=r"^backbone\.", until_epoch=2),)))
    shown = estimate(frozen, frozen.data.open())
    whole = estimate(EXPERIMENT, EXPERIMENT.data.open())
    assert shown.activations == whole.activations  # of the last phase
    # Ten of fifteen updates are without the gradient of the kernel: a half of each of them.
    assert shown.operations == pytest.approx(whole.operations * (10 * 0.5 + 5) / 15, rel=0.1)


def test_two_views_of_an_image_cost_twice():
    """The convolution of one view and of two, as with and without contrast the network is the same but for its head."""
    parts = {"pretext": Contrast(dimensions=8), "head": Projection(layer="pool", hidden=8), "loss": NTXent()}
    twice = replace(EXPERIMENT, augment=(Flip(),), **parts)
    found, one = estimate(twice, twice.data.open()), estimate(EXPERIMENT, EXPERIMENT.data.open())
    assert found.operations == pytest.approx(2 * one.operations, rel=0.1)
    assert found.activations == pytest.approx(2 * one.activations, rel=0.1)
    assert found.held["batches, three ahead"] == 3 * BATCH * SIDE * SIDE * 3


def test_what_is_seen_beside_an_image_has_its_shape():
    tokens = jax.ShapeDtypeStruct((16,), "int32")
    assert _shapes({"image": (64, 32, 3), "tokens": tokens}) == "image 64 x 32 x 3, tokens 16"


def test_in_parts_a_device_holds_a_quarter_of_what_is_large():
    """The convolution's kernel; biases and a readout of 224 weights are on every one of the four."""
    spread = replace(EXPERIMENT, training=replace(EXPERIMENT.training, parallel="fsdp"))
    found = estimate(spread, spread.data.open())
    kernel = KERNEL * KERNEL * 3 * CHANNELS
    part = 4 * (WEIGHTS - kernel + kernel // 4)
    assert found.held["parameters"] == found.held["their average"] == found.held["gradients"] == part
    assert found.held["optimizer"] == pytest.approx(2 * part, rel=0.01)
    assert found.held["the backbone's made whole, at most"] == 4 * (kernel + CHANNELS)
    assert (found.layout, found.devices, found.rows) == ("fsdp", 4, BATCH // 4)


def test_how_many_trainings_a_study_has():
    folds = Folds(experiment=EXPERIMENT, folds=3)
    assert Seeds(experiment=folds, seeds=4).trainings == 12
    space = {"optimizer.lr": Choice(1e-3, 1e-2)}
    assert Search(experiment=folds, space=space, sampler="random", trials=2).trainings == 6


def test_a_dry_run_trains_nothing(arrays_npz, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("jaxlab.report.estimate._SIDE", 64)  # how fast this machine is, is not the point
    result = CliRunner().invoke(
        main, ["train", TINY, "--set", f"data.root={arrays_npz}", "--seeds", "3", "--dry-run"]
    )
    assert result.exit_code == 0, result.output
    assert all(word in result.stdout for word in ("parameters", "trainings", "activations", "at least"))
    smoke = CliRunner().invoke(
        main, ["train", TINY, "--set", f"data.root={arrays_npz}", "--smoke", "--dry-run"]
    )
    assert re.search(r"updates +2 ", smoke.stdout), smoke.output
    assert not list(tmp_path.iterdir())
    refused = CliRunner().invoke(main, ["train", "ridge", "--dry-run"])
    assert refused.exit_code == 1
    assert "expected a network" in refused.stderr
