"""How torchvision (before and since 0.3), timm and transformers name the weights of a MobileNetV2."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxlab.models.mobilenetv2 import MobileNetV2, stages
from jaxlab.weights import mbconv
from jaxlab.weights.family import Family
from jaxlab.weights.match import KeyLayout
from jaxlab.weights.mbconv import BlockNames, block_rules, checked, ends, finished
from jaxlab.weights.metadata import differing, refuse
from jaxlab.weights.rules import IMAGENET

# torchvision's layers of a block by place; the first block has no expansion, and its others come sooner.
TORCHVISION = BlockNames(
    (r"conv\.0\.0", r"conv\.0\.1"), (r"conv\.1\.0", r"conv\.1\.1"), (r"conv\.2", r"conv\.3")
)
TORCHVISION_FIRST = BlockNames(None, (r"conv\.0\.0", r"conv\.0\.1"), (r"conv\.1", r"conv\.2"))
OLD = BlockNames((r"conv\.0", r"conv\.1"), (r"conv\.3", r"conv\.4"), (r"conv\.6", r"conv\.7"))
OLD_FIRST = BlockNames(None, (r"conv\.0", r"conv\.1"), (r"conv\.3", r"conv\.4"))
TRANSFORMERS = BlockNames(
    (r"expand_1x1\.convolution", r"expand_1x1\.normalization"),
    (r"conv_3x3\.convolution", r"conv_3x3\.normalization"),
    (r"reduce_1x1\.convolution", r"reduce_1x1\.normalization"),
)
DEFAULTS = {  # of transformers: what its config.json may say where it describes this network
    "tf_padding": (True,),
    "layer_norm_eps": (0.001,),
    "hidden_act": ("relu6",),
    "output_stride": (32,),
    "first_layer_is_expansion": (True,),
}


def layout(config: MobileNetV2, arrays: Mapping[str, np.ndarray]) -> KeyLayout:
    """The layout that these arrays' keys have. Raises UserError where it needs the other convention."""
    embedder = next((key for key in arrays if key.endswith("conv_stem.first_conv.convolution.weight")), None)
    if embedder is not None:
        return checked(config, arrays, _transformers(config, embedder), "tensorflow")
    found = mbconv.timm(config, stages(config), _trained(IMAGENET, "bicubic"))
    if "features.1.conv.3.weight" in arrays:
        found = _torchvision(config, "torchvision (old)", OLD_FIRST, OLD)
    elif any(key.startswith("features.") for key in arrays):
        found = _torchvision(config, "torchvision", TORCHVISION_FIRST, TORCHVISION)
    return checked(config, arrays, found, "pytorch")


def _torchvision(config: MobileNetV2, name: str, first: BlockNames, others: BlockNames) -> KeyLayout:
    """Counts the stem as the first of its features."""
    blocks = sum(map(len, stages(config)))
    head = rf"features\.{blocks + 1}"
    rules = ends((r"features\.0\.0", r"features\.0\.1"), (rf"{head}\.0", rf"{head}\.1"))
    for number in range(blocks):
        rules += block_rules(rf"features\.{number + 1}", f"blocks.{number}", first if number == 0 else others)
    trained = _trained(IMAGENET, "bilinear")
    return finished(config, name, rules, r"classifier\.1", "features.0.0.weight", trained)


def _transformers(config: MobileNetV2, stem: str) -> KeyLayout:
    """Counts the first block to the stem; a model saved without its classifier lacks the prefix `mobilenet_v2.`."""
    prefix = re.escape(stem.removesuffix("conv_stem.first_conv.convolution.weight"))
    first, last = rf"{prefix}conv_stem", rf"{prefix}conv_1x1"
    rules = ends(
        (rf"{first}\.first_conv\.convolution", rf"{first}\.first_conv\.normalization"),
        (rf"{last}\.convolution", rf"{last}\.normalization"),
    )
    rules += block_rules(first, "blocks.0", BlockNames(None, TRANSFORMERS.depthwise, TRANSFORMERS.project))
    for number in range(1, sum(map(len, stages(config)))):
        rules += block_rules(rf"{prefix}layer\.{number - 1}", f"blocks.{number}", TRANSFORMERS)
    trained = _trained({"mean": [0.5] * 3, "std": [0.5] * 3}, "bilinear")
    return finished(config, "transformers", rules, "classifier", stem, trained)


def _trained(normalization: Mapping[str, Any], interpolation: str) -> dict[str, Any]:
    return {**normalization, "interpolation": interpolation, "crop_fraction": 0.875, "size": 224}


def check_metadata(config: MobileNetV2, metadata: Mapping[str, Any], about: str) -> None:
    """Refuse variants that have a MobileNetV2's names and shapes but compute something else. Raises UserError."""
    described = metadata.get("config.json", {})
    problems = []
    architecture = described.get("architecture")  # timm's
    wanted = f"mobilenetv2_{round(100 * config.width):03d}"
    if architecture is not None and architecture != wanted:
        problems.append(f"architecture is {architecture!r}, expected {wanted!r}")
    if described.get("model_type") == "mobilenet_v2":
        problems += differing(described, DEFAULTS)
    refuse(about, problems)


FAMILY = Family(
    name="mobilenetv2",
    models=(MobileNetV2,),
    layout=layout,
    stem=mbconv.STEM,
    classifier=mbconv.CLASSIFIER,
    hint=mbconv.hint,
    check_metadata=check_metadata,
)
