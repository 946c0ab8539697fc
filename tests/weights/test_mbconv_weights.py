"""EfficientNet and MobileNetV2 files: what is wrong with one that does not fit, said before anything is computed."""

import json

import numpy as np
import pytest
from reference.files import load, state_dict

from jaxlab.core.types import UserError
from jaxlab.models import EfficientNet, MobileNetV2

B0, B0_TF = EfficientNet(), EfficientNet(convention="tensorflow")
LITE0_TF = EfficientNet(variant="lite0", convention="tensorflow")
MOBILE, MOBILE_TF = MobileNetV2(width=0.5), MobileNetV2(width=0.5, convention="tensorflow")


LOADED = [
    ("efficientnet_b0_timm", B0, "timm", "classifier", "conv_stem"),
    ("efficientnet_b0_torchvision", B0, "torchvision", "classifier.1", "features.0.0"),
    (
        "efficientnet_lite0_lukemelas",
        LITE0_TF,
        "efficientnet-pytorch",
        "_fc",
        "_conv_stem",
    ),
    (
        "efficientnet_b0_transformers",
        B0_TF,
        "transformers",
        "classifier",
        "efficientnet.embeddings.convolution",
    ),
    ("mobilenetv2_050_torchvision", MOBILE, "torchvision", "classifier.1", "features.0.0"),
    ("mobilenetv2_050_timm", MOBILE, "timm", "classifier", "conv_stem"),
    (
        "mobilenetv2_050_transformers",
        MOBILE_TF,
        "transformers",
        "classifier",
        "mobilenet_v2.conv_stem.first_conv.convolution",
    ),
]


@pytest.mark.parametrize(
    ("golden", "config", "layout", "classifier", "stem"), LOADED, ids=[case[0] for case in LOADED]
)
def test_a_backbone_leaves_the_classifier_and_says_so(golden, config, layout, classifier, stem, tmp_path):
    source = state_dict(golden)
    params, stats, record = load(config, tmp_path, dict(source))
    counters = sum(key.endswith("num_batches_tracked") for key in source)
    assert record["layout"] == layout
    assert record["skipped"] == {
        "counters of PyTorch's batch norm": counters,
        "the file's classifier": 2,
    }
    assert record["used"] == len(params) + len(stats) == len(source) - counters - 2
    np.testing.assert_array_equal(params["stem.conv.kernel"][2, 0, 1], source[f"{stem}.weight"][:, 1, 2, 0])
    without = {key: value for key, value in source.items() if not key.startswith(f"{classifier}.")}
    assert load(config, tmp_path, without)[2]["used"] == record["used"]


@pytest.mark.parametrize(
    ("golden", "config", "prefix"),
    [
        ("efficientnet_b0_transformers", B0_TF, "efficientnet."),
        ("mobilenetv2_050_transformers", MOBILE_TF, "mobilenet_v2."),
    ],
)
def test_a_transformers_backbone_has_no_prefix(golden, config, prefix, tmp_path):
    source = state_dict(golden)
    bare = {key.removeprefix(prefix): value for key, value in source.items() if key.startswith(prefix)}
    assert load(config, tmp_path, bare)[2]["layout"] == "transformers"


def test_torchvisions_old_names_of_mobilenetv2(tmp_path):
    """Before torchvision 0.3 a block was one flat sequence; the oldest weights have these names."""
    new = state_dict("mobilenetv2_050_torchvision")
    first = {"0.0": "0", "0.1": "1", "1": "3", "2": "4"}  # of the block without an expansion
    others = {"0.0": "0", "0.1": "1", "1.0": "3", "1.1": "4", "2": "6", "3": "7"}
    source = {}
    for key, value in new.items():
        block, found, rest = key.partition(".conv.")
        place, _, leaf = rest.rpartition(".")
        names = first if block == "features.1" else others
        source[f"{block}.conv.{names[place]}.{leaf}" if found else key] = value
    assert {"features.1.conv.3.weight", "features.2.conv.7.running_var"} <= source.keys()
    config = MobileNetV2(width=0.5, classes=50)
    old_params, old_stats, record = load(config, tmp_path, source)
    assert record["layout"] == "torchvision (old)"
    params, stats, _ = load(config, tmp_path, new)
    for path, value in (params | stats).items():
        np.testing.assert_array_equal((old_params | old_stats)[path], value, err_msg=path)


@pytest.mark.parametrize(
    ("golden", "config", "words"),
    [
        ("efficientnet_b1_timm", B0, r"\(variant='b1'\), the config is EfficientNet\(variant='b0'\)$"),
        ("efficientnet_lite0_timm", B0, r"looks like EfficientNet\(variant='lite0'\)"),
        ("efficientnet_b1_torchvision", B0, r"looks like EfficientNet\(variant='b1'\)"),
        ("efficientnet_b2_transformers", B0_TF, r"looks like EfficientNet\(variant='b2'\)"),
        ("efficientnet_lite2_lukemelas", LITE0_TF, r"looks like EfficientNet\(variant='lite2'\)"),
        ("mobilenetv2_100_timm", B0, r"looks like MobileNetV2\(width=1\.0\)"),
        (
            "mobilenetv2_140_torchvision",
            MOBILE,
            r"MobileNetV2\(width=1\.4\), the config is MobileNetV2\(width=0\.5\)$",
        ),
        ("efficientnet_b0_timm", MOBILE, r"looks like EfficientNet\(variant='b0'\)"),
        ("resnet18_torchvision", B0, r"does not look like an EfficientNet$"),
        ("resnet18_torchvision", MOBILE, r"does not look like a MobileNetV2$"),
        ("efficientnet_b0_torchvision", MOBILE, r"does not look like a MobileNetV2$"),
        ("efficientnet_b1_torchvision", B0_TF, r"looks like EfficientNet\(variant='b1'\)"),
        ("mobilenetv2_100_timm", MOBILE_TF, r"looks like MobileNetV2\(width=1\.0\)"),
    ],
)
def test_another_network_is_recognised(golden, config, words, tmp_path):
    with pytest.raises(UserError, match=words) as caught:
        load(config, tmp_path, state_dict(golden))
    assert f"do not fit {type(config).__name__}: " in str(caught.value)


def test_what_is_missing_or_left_over_is_named(tmp_path):
    source = state_dict("efficientnet_b0_timm")
    source["blocks.0.0.extra.weight"] = source.pop("blocks.0.0.se.conv_reduce.bias")
    source["blocks.3.1.conv_dw.weight"] = source["blocks.3.1.conv_dw.weight"][:, :, :2]
    with pytest.raises(UserError) as caught:
        load(B0, tmp_path, source)
    message = str(caught.value)
    assert "1 not expected in the file: blocks.0.0.extra.weight" in message
    assert "1 missing from the file: blocks.0.squeeze.reduce.bias" in message
    assert (
        "1 of another shape: blocks.3.1.conv_dw.weight (as blocks.6.depthwise.conv.kernel (2, 3, 1,"
        in message
    )
    assert "looks like" not in message


@pytest.mark.parametrize(
    ("golden", "config", "stem"),
    [
        ("efficientnet_lite0_lukemelas", LITE0_TF, "_conv_stem.weight"),
        ("efficientnet_b0_torchvision", B0, "features.0.0.weight"),
        ("mobilenetv2_050_torchvision", MOBILE, "features.0.0.weight"),
    ],
)
def test_a_layout_is_recognised_without_its_first_key(golden, config, stem, tmp_path):
    source = state_dict(golden)
    del source[stem]
    with pytest.raises(UserError, match=r"do not fit \w+: 1 missing from the file: stem\.conv\.kernel$"):
        load(config, tmp_path, source)


@pytest.mark.parametrize(
    ("golden", "config", "expected"),
    [
        ("efficientnet_b0_lukemelas", B0, "tensorflow"),
        ("efficientnet_b0_transformers", B0, "tensorflow"),
        ("efficientnet_b0_torchvision", B0_TF, "pytorch"),
        ("mobilenetv2_050_transformers", MOBILE, "tensorflow"),
        ("mobilenetv2_050_torchvision", MOBILE_TF, "pytorch"),
        ("mobilenetv2_050_timm", MOBILE_TF, "pytorch"),
    ],
)
def test_a_layout_of_the_other_convention_is_refused(golden, config, expected, tmp_path):
    words = rf"{type(config).__name__}\.convention: .* need '{expected}'.*; set convention='{expected}'"
    with pytest.raises(UserError, match=words):
        load(config, tmp_path, state_dict(golden))


@pytest.mark.parametrize(
    ("config", "described", "words"),
    [
        (
            B0,
            {"architecture": "tf_efficientnet_b0"},
            r"'tf_efficientnet_b0', which needs convention='tensorflow', found 'pytorch'",
        ),
        (
            LITE0_TF,
            {"architecture": "efficientnet_lite0"},
            r"'efficientnet_lite0', which needs convention='pytorch', found 'tensorflow'",
        ),
        (
            B0,
            {"architecture": "efficientnet_blur_b0"},
            "'efficientnet_blur_b0', expected 'efficientnet_b0'",
        ),
        (
            B0_TF,
            {"model_type": "efficientnet", "batch_norm_eps": 1e-5, "pooling_type": "max"},
            r"batch_norm_eps is 1e-05, expected 0\.001; pooling_type is 'max', expected 'mean'",
        ),
        (
            MOBILE,
            {"architecture": "mobilenetv2_110d"},
            r"'mobilenetv2_110d', expected 'mobilenetv2_050'",
        ),
        (
            MOBILE_TF,
            {"model_type": "mobilenet_v2", "tf_padding": False, "output_stride": 8},
            r"tf_padding is False, expected True; output_stride is 8, expected 32",
        ),
    ],
)
def test_a_variant_with_the_same_names_is_refused_by_its_config(config, described, words, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(described))
    with pytest.raises(UserError, match=f"describes another network: .*{words}"):
        load(config, tmp_path, {"conv_stem.weight": np.zeros((32, 3, 3, 3), np.float32)})


@pytest.mark.parametrize(
    ("golden", "config", "expected"),
    [
        (
            "efficientnet_lite0_lukemelas",
            LITE0_TF,
            {"mean": [127 / 255] * 3, "std": [128 / 255] * 3, "crop_fraction": 0.875, "size": 224},
        ),
        (
            "efficientnet_lite0_timm_tf",
            LITE0_TF,
            {"mean": [0.5] * 3, "std": [0.5] * 3},
        ),
        ("efficientnet_b0_timm", B0, {"std": [0.229, 0.224, 0.225]}),
        (
            "efficientnet_b0_torchvision",
            B0,
            {"size": 224, "crop_fraction": 224 / 256},
        ),
        ("mobilenetv2_050_transformers", MOBILE_TF, {"mean": [0.5] * 3, "size": 224}),
    ],
)
def test_the_preprocessing_of_training_comes_with_the_layout(golden, config, expected, tmp_path):
    found = load(config, tmp_path, state_dict(golden))[2]["preprocessing"]
    assert {name: found[name] for name in expected} == expected
