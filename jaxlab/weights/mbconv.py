"""What the layouts of EfficientNet and MobileNetV2 share: rules of a block, timm's names, what a file looks like."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from jaxlab.core.types import UserError
from jaxlab.models import efficientnet, mobilenetv2
from jaxlab.models.efficientnet import EfficientNet, Variant
from jaxlab.models.mbconv import Convention, MBConvSpec
from jaxlab.models.mobilenetv2 import MobileNetV2
from jaxlab.weights.match import KeyLayout, KeyRule, renamed
from jaxlab.weights.rules import COUNTERS, classifier, conv, norm

STEM = "stem.conv.kernel"  # the leaf that sees the image
CLASSIFIER = "fc"
NamePair = tuple[str, str]
Config = EfficientNet | MobileNetV2


@dataclass(frozen=True)
class BlockNames:
    """Patterns of a block's convolution and norm in each layer, and of the two layers of its squeeze-and-excitation."""

    expand: NamePair | None
    depthwise: NamePair
    project: NamePair
    squeeze: NamePair | None = None


TIMM = BlockNames(
    ("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3"), (r"se\.conv_reduce", r"se\.conv_expand")
)
TIMM_SEPARABLE = BlockNames(None, ("conv_dw", "bn1"), ("conv_pw", "bn2"), TIMM.squeeze)


def block_rules(pattern: str, target: str, names: BlockNames) -> list[KeyRule]:
    """The rules of one block, or of all blocks whose number the pattern's group holds."""
    rules: list[KeyRule] = []
    for name in ("expand", "depthwise", "project"):
        if layer := getattr(names, name):
            rules += conv(rf"{pattern}\.{layer[0]}", f"{target}.{name}.conv")
            rules += norm(rf"{pattern}\.{layer[1]}", f"{target}.{name}.norm")
    for name, layer in zip(("reduce", "expand"), names.squeeze or (), strict=False):
        rules += conv(rf"{pattern}\.{layer}", f"{target}.squeeze.{name}", bias=True)
    return rules


def timm(
    config: Config, stages: Sequence[Sequence[MBConvSpec]], preprocessing: Mapping[str, Any]
) -> KeyLayout:
    """timm numbers the blocks of each stage from 0."""
    rules = list(ends(("conv_stem", "bn1"), ("conv_head", "bn2")))
    number = 0
    for stage, blocks in enumerate(stages):
        for place, block in enumerate(blocks):
            names = TIMM if block.expansion > 1 else TIMM_SEPARABLE
            rules += block_rules(rf"blocks\.{stage}\.{place}", f"blocks.{number}", names)
            number += 1
    return finished(config, "timm", rules, "classifier", "conv_stem.weight", preprocessing)


def ends(stem: NamePair, head: NamePair) -> list[KeyRule]:
    """The convolutions before and after the blocks, each with its norm."""
    return [
        *conv(stem[0], "stem.conv"),
        *norm(stem[1], "stem.norm"),
        *conv(head[0], "head.conv"),
        *norm(head[1], "head.norm"),
    ]


def finished(
    config: Config,
    name: str,
    rules: Iterable[KeyRule],
    last: str,
    stem: str,
    preprocessing: Mapping[str, Any],
) -> KeyLayout:
    """The layout, with the classifier that matches `last`."""
    final, skips = classifier(last, CLASSIFIER, config.classes)
    return KeyLayout(name, (*rules, *final), (COUNTERS, *skips), stem, preprocessing)


def checked(
    config: Config, arrays: Mapping[str, np.ndarray], found: KeyLayout, convention: Convention
) -> KeyLayout:
    """`found`, whose files are all of one convention. Raises UserError where the config's is the other one.

    But not for the file of another network: there matching says so.
    """
    if config.convention != convention and not hint(config, arrays, found):
        kind = type(config).__name__
        raise UserError(
            f"{kind}.convention: weights in the layout of {found.name} need {convention!r} (padding and batch norm's "
            f"epsilon), found {config.convention!r}; set convention={convention!r}"
        )
    return found


def hint(config: Config, arrays: Mapping[str, np.ndarray], found: KeyLayout) -> str:
    """What the file seems to hold, where that is another network than the config's."""
    key = next((k for k, path in renamed(arrays, found.rules).items() if path == "head.conv.kernel"), None)
    kernels = [array for array in arrays.values() if array.ndim == 4]
    blocks = sum(array.shape[1] == 1 and array.shape[2] > 1 for array in kernels)
    if key is None or arrays[key].ndim != 4 or not blocks:
        return f"The file does not look like {_article(type(config).__name__)}"
    squeeze = any(re.search(r"\.se\.|_se_|\.fc1\.|squeeze_excite", name) for name in arrays)
    unknown = f"a network of {blocks} inverted residuals that jaxlab has not"
    name = _known().get((blocks, squeeze, arrays[key].shape[1]), unknown)
    ours = _name(config)
    return "" if name == ours else f"The file looks like {name}, the config is {ours}"


def _known() -> dict[tuple[int, bool, int], str]:
    """{blocks, whether they have squeeze-and-excitation, channels of the last: the config}."""
    configs: list[Config] = [EfficientNet(variant=variant) for variant in get_args(Variant)]
    configs += [MobileNetV2(width=width) for width in (0.35, 0.5, 0.75, 1.0, 1.4)]
    return {_signature(config): _name(config) for config in configs}


def _signature(config: Config) -> tuple[int, bool, int]:
    family = efficientnet if isinstance(config, EfficientNet) else mobilenetv2
    blocks = [block for stage in family.stages(config) for block in stage]
    return len(blocks), blocks[0].squeeze > 0, blocks[-1].out_channels


def _name(config: Config) -> str:
    if isinstance(config, EfficientNet):
        return f"EfficientNet(variant={config.variant!r})"
    return f"MobileNetV2(width={config.width})"


def _article(name: str) -> str:
    return f"an {name}" if name.startswith("E") else f"a {name}"
