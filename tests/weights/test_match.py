"""Matching both ways: everything that does not fit is said at once, and nothing is loaded in part."""

import json
import re
from dataclasses import dataclass
from typing import ClassVar

import jax
import ml_dtypes
import numpy as np
import pytest
from flax import nnx
from reference import files, shapes
from reference.files import load
from safetensors.numpy import save_file

from jaxlab.core.config import Location
from jaxlab.core.types import UserError
from jaxlab.models import EfficientNet, LeNet5, MobileNetV2, ResNet, ShuffleNetV2
from jaxlab.models.base import Model
from jaxlab.models.shallow_cnn import ShallowCNN
from jaxlab.weights import Family, family_of, load_pretrained
from jaxlab.weights.match import KeyLayout, KeyRule, KeySkip, match
from jaxlab.weights.rules import linear

LAYOUT = KeyLayout(
    "tiny",
    (KeyRule(r"(\w+)\.w", r"\1.kernel", np.transpose), KeyRule("b", "bias")),
    (KeySkip("n.*", "a counter"),),
    "a.w",
)
TARGETS = {
    "a.kernel": jax.ShapeDtypeStruct((2, 3), np.float32),
    "bias": jax.ShapeDtypeStruct((4,), np.float32),
}
GOOD = {
    "a.w": np.arange(6, dtype=np.float16).reshape(3, 2),
    "b": np.arange(4.0),
    "n1": np.zeros(1),
    "n2": np.zeros(1),
}


def test_what_fits_is_turned_and_cast():
    matched = match(GOOD, TARGETS, LAYOUT, about="weights x")
    np.testing.assert_array_equal(
        matched.leaves["a.kernel"], np.array([[0, 2, 4], [1, 3, 5]], np.float32), strict=True
    )
    np.testing.assert_array_equal(matched.leaves["bias"], np.array([0, 1, 2, 3], np.float32), strict=True)
    assert (matched.used, matched.skipped) == (2, {"a counter": 2})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"b": None}, "1 missing from the file: bias"),
        ({"q": np.zeros(2)}, "1 not expected in the file: q"),
        ({"c.w": np.zeros((3, 2))}, r"1 not expected in the file: c.w \(the model has no c.kernel\)"),
        (
            {"a.w": np.zeros((2, 3))},
            r"1 of another shape: a.w \(as a.kernel \(3, 2\), the model's is \(2, 3\)\)",
        ),
        ({"b": np.zeros(4, np.int32)}, r"1 of another dtype: b \(int32, where bias is float32\)"),
        (dict.fromkeys(GOOD), "2 missing from the file: a.kernel, bias"),
    ],
)
def test_each_problem_is_named(change, words):
    source = {key: value for key, value in (GOOD | change).items() if value is not None}
    with pytest.raises(UserError, match=rf"^weights x: {words}$"):
        match(source, TARGETS, LAYOUT, about="weights x")


@pytest.mark.parametrize(
    ("key", "values", "words"),
    [
        ("b", np.array([1, np.nan, np.nan, 0]), r"b \(2 NaN, of 4\)"),
        ("b", np.array([1, np.inf, -np.inf, np.nan], np.float16), r"b \(1 NaN, 2 infinite, of 4\)"),
        ("b", np.array([1e300, -1e39, 3e38, np.inf]), r"b \(1 infinite, 2 beyond float32, of 4\)"),
        ("b", np.array([1, np.nan, 0, 0], ml_dtypes.bfloat16), r"b \(1 NaN, of 4\)"),
        ("b", np.array([1, np.inf, 0, 0], ml_dtypes.float8_e5m2), r"b \(1 infinite, of 4\)"),
        ("a.w", np.full((3, 2), np.nan, np.float32), r"a\.w \(6 NaN, of 6\)"),
    ],
)
def test_values_that_are_no_numbers_are_refused_with_the_tensors_name(key, values, words):
    """The kind: what float32 cannot hold as a number, of whatever type it was. A skipped tensor may be anything."""
    skipped = {"n1": np.full(1, np.nan)}
    with pytest.raises(UserError, match=rf"^weights x: 1 with values that are no numbers: {words}$"):
        match(GOOD | skipped | {key: values}, TARGETS, LAYOUT, about="weights x")
    assert match(GOOD | skipped, TARGETS, LAYOUT, about="weights x").used == 2


@pytest.mark.parametrize("family", [LeNet5, ResNet, ShuffleNetV2, MobileNetV2, EfficientNet])
def test_a_variance_below_zero_is_refused_in_every_family(family):
    """A root of it is NaN; 0 is a channel that never varied, which epsilon is for."""
    config = family()
    *_, stats = shapes.split(config, 3 if family is not LeNet5 else 1)
    paths = [path for path in shapes.flat(stats) if path.endswith(".var")]
    assert bool(paths) == bool(shapes.flat(stats))
    for path in paths[:1]:
        layout = KeyLayout("tiny", (KeyRule("v", path),), (), None)
        targets = {path: jax.ShapeDtypeStruct((3,), np.float32)}
        with pytest.raises(UserError, match=r"1 with variances below 0: v \(1 of 3, the least -0\.5\)"):
            match({"v": np.array([0, 1, -0.5])}, targets, layout, about="weights x")
        assert match({"v": np.array([0, 1, 2.0])}, targets, layout, about="weights x").used == 1


def test_all_problems_come_at_once_with_counts_and_the_hint():
    source = {f"q{k}": np.zeros(1) for k in range(9)} | {"a.w": np.zeros(6)}
    with pytest.raises(UserError) as caught:
        match(source, TARGETS, LAYOUT, about="weights x", hint="try y")
    assert str(caught.value) == (
        "weights x: 9 not expected in the file: q0, q1, q2, q3, and 5 more; "
        "1 of another shape: a.w (as a.kernel (6,), the model's is (2, 3)); 1 missing from the file: bias. try y"
    )


def test_rules_that_overlap_or_collide_are_an_error():
    overlapping = KeyLayout("tiny", (*LAYOUT.rules, KeyRule("a.w", "other")), LAYOUT.skips, "a.w")
    with pytest.raises(UserError, match=r"1 with several rules: a\.w"):
        match(GOOD, TARGETS, overlapping, about="weights x")
    colliding = KeyLayout("tiny", (*LAYOUT.rules, KeyRule("q", "bias")), LAYOUT.skips, "a.w")
    with pytest.raises(UserError, match=r"1 for a leaf that is filled already: q \(bias\)"):
        match(GOOD | {"q": np.zeros(4)}, TARGETS, colliding, about="weights x")


# -- ResNet files ----------------------------------------------------------------------------------------------


def state_dict(depth, layout="torchvision"):
    return files.state_dict(f"resnet{depth}_{layout}")


@pytest.mark.parametrize(("layout", "classifier"), [("torchvision", "fc"), ("transformers", "classifier.1")])
def test_a_backbone_leaves_the_classifier_and_says_so(layout, classifier):
    source = state_dict(18, layout)
    params, stats, record = load(ResNet(), source)
    assert record["skipped"] == {"counters of PyTorch's batch norm": 20, "the file's classifier": 2}
    assert record["used"] == len(params) + len(stats) == len(source) - 22
    assert record["stem"] is None
    assert json.loads(json.dumps(record)) == record
    name = "conv1" if layout == "torchvision" else "resnet.embedder.embedder.convolution"
    np.testing.assert_array_equal(params["conv1.kernel"][2, 5, 1], source[f"{name}.weight"][:, 1, 2, 5])
    bare = {key: value for key, value in source.items() if not key.startswith(classifier)}
    assert load(ResNet(), bare)[2]["used"] == record["used"], "a file without a classifier is as good"


def test_a_transformers_backbone_has_no_prefix():
    source = {key.removeprefix("resnet."): value for key, value in state_dict(18, "transformers").items()}
    params, _, record = load(ResNet(), {k: v for k, v in source.items() if "classifier" not in k})
    assert record["layout"] == "transformers"
    np.testing.assert_array_equal(params["bn1.scale"], source["embedder.embedder.normalization.weight"])


def test_another_depth_is_recognised():
    names_alone = dict.fromkeys(state_dict(50), np.zeros(1, np.float32))
    with pytest.raises(UserError, match=r"looks like ResNet-50, the config is ResNet\(depth=18\)$") as caught:
        load(ResNet(), names_alone)
    assert "not expected in the file" in str(caught.value)
    assert "of another shape: bn1.bias (as bn1.bias (1,), the model's is (64,))" in str(caught.value)
    with pytest.raises(UserError, match=r"looks like ResNet-18, the config is ResNet\(depth=34\)$"):
        load(ResNet(depth=34), state_dict(18))


def test_another_network_is_recognised(tmp_path):
    with pytest.raises(UserError, match="does not look like a ResNet"):
        load(ResNet(), {"blocks.0.attn.qkv.weight": np.zeros((3, 3), np.float32)})
    save_file({"a": np.ones(1)}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="ShallowCNN has no pretrained weights"):
        load_pretrained(ShallowCNN(), str(tmp_path), {}, {})


@pytest.mark.parametrize(
    ("described", "blur", "words"),
    [
        ({"architecture": "resnetblur18"}, False, "is 'resnetblur18', expected 'resnet18'"),
        ({"architecture": "resnet18"}, True, "is 'resnet18', expected 'resnetblur18'"),
        ({"architecture": "resnetblur50"}, True, "is 'resnetblur50', expected 'resnetblur18'"),
        ({"hidden_act": "relu"}, True, "is None, expected 'resnetblur18'"),
        ({"downsample_in_bottleneck": True}, False, "downsample_in_b"),
    ],
)
def test_a_variant_with_the_same_names_is_refused_by_its_config(described, blur, words, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(described))
    save_file({"conv1.weight": np.zeros((64, 3, 7, 7), np.float32)}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=f"describes another network.*{words}"):
        load_pretrained(ResNet(blur=blur), str(tmp_path), {}, {})


def test_a_blurred_variant_is_let_through_for_a_blurred_model():
    described = {"config.json": {"architecture": "resnetblur18"}}
    assert load(ResNet(blur=True), state_dict(18, "timm"), described)[2]["layout"] == "torchvision/timm"


def test_another_number_of_classes_is_refused():
    with pytest.raises(
        UserError,
        match=r"2 of another shape: fc\.bias .*fc\.weight.*not one of 10 classes; classes=0 leaves it out$",
    ):
        load(ResNet(classes=10), state_dict(18))


def test_a_file_without_the_classifier_that_is_asked_for_is_refused():
    bare = {key: value for key, value in state_dict(18).items() if not key.startswith("fc.")}
    with pytest.raises(UserError, match=r"2 missing .*fc\.kernel\. The file has no classifier; classes=0"):
        load(ResNet(classes=50), bare)


@pytest.mark.parametrize("channels", [1, 2, 4, 6])
def test_a_stem_for_other_channels_answers_equal_channels_alike(channels):
    """A grey image, repeated over the channels of each, has the same effect through both kernels for 1, 3, 6."""
    source = state_dict(18)
    params, _, record = load(ResNet(), dict(source), channels=channels)
    kernel, original = params["conv1.kernel"], source["conv1.weight"].transpose(2, 3, 1, 0)
    assert kernel.shape == (7, 7, channels, 64)
    assert record["stem"].startswith("summed over 3" if channels == 1 else f"repeated from 3 to {channels}")
    if channels in (1, 6):
        np.testing.assert_allclose(kernel.sum(2), original.sum(2), atol=1e-6)
    if channels > 1:
        np.testing.assert_allclose(kernel[:, :, 1], original[:, :, 1] * 3 / channels, rtol=1e-6)
    if channels > 3:
        np.testing.assert_array_equal(kernel[:, :, 3], kernel[:, :, 0])


@pytest.mark.parametrize(("colours", "words"), [(3, "^2 further"), (1, "^summed over 3 channels; 2 further")])
def test_further_channels_begin_without_weight(colours, words):
    """So the features of a pretrained network start as they are without them."""
    source = state_dict(18)
    plain, _, _ = load(ResNet(), dict(source), channels=colours)
    params, _, record = load(ResNet(), dict(source), channels=colours + 2, further=2)
    np.testing.assert_array_equal(params["conv1.kernel"][:, :, :colours], plain["conv1.kernel"])
    np.testing.assert_array_equal(params["conv1.kernel"][:, :, colours:], 0)
    assert re.search(words, record["stem"])


class DenseModule(nnx.Module):
    def __init__(self, config, in_channels, rngs):
        self.fc = nnx.Linear(in_channels, config.classes, rngs=rngs)


@dataclass(frozen=True, kw_only=True)
class Dense(Model):
    """A family of a user's own, in their config file."""

    family: ClassVar[Family] = Family(
        name="dense",
        models=(),
        layout=lambda config, arrays: KeyLayout("plain", linear("last", "fc"), (), None),
        stem=None,
        classifier="fc",
    )
    classes: int = 4
    pretrained: Location | None = None

    def build(self, in_channels, rngs):
        return DenseModule(self, in_channels, rngs)


def test_a_users_model_brings_its_own_rules():
    source = {"last.weight": np.ones((4, 3), np.float32), "last.bias": np.arange(4, dtype=np.float32)}
    params, stats, record = load(Dense(), source)
    np.testing.assert_array_equal(params["fc.kernel"], np.ones((3, 4)))
    assert (stats, record["layout"], record["used"]) == ({}, "plain", 2)
    with pytest.raises(UserError, match="not one of 5 classes; classes=0 leaves it out"):
        load(Dense(classes=5), source)


def test_a_users_variant_of_a_family_takes_its_weights():
    class Deeper(ResNet):
        pass

    assert family_of(Deeper()) is family_of(ResNet())
