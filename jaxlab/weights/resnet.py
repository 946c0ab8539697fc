"""How torchvision, timm and transformers name the weights of a ResNet."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from jaxlab.models.resnet import BLOCKS, ResNet
from jaxlab.weights.family import Family
from jaxlab.weights.match import KeyLayout, KeyRule, renamed
from jaxlab.weights.metadata import differing, refuse
from jaxlab.weights.rules import COUNTERS, IMAGENET, classifier, conv, norm

# Blocks of each stage, and whether they are bottlenecks.
DEPTHS = {
    ((2, 2, 2, 2), False): 18,
    ((3, 4, 6, 3), False): 34,
    ((3, 4, 6, 3), True): 50,
    ((3, 4, 23, 3), True): 101,
    ((3, 8, 36, 3), True): 152,
}


def layout(config: ResNet, keys: Iterable[str]) -> KeyLayout:
    """The layout that these source keys have."""
    embedder = next((key for key in keys if key.endswith("embedder.embedder.convolution.weight")), None)
    return _torchvision(config) if embedder is None else _transformers(config, embedder)


def _torchvision(config: ResNet) -> KeyLayout:
    """timm has the same names for its plain ResNets."""
    block = r"layer(\d)\.(\d+)"
    rules = (
        *conv("conv1", "conv1"),
        *norm("bn1", "bn1"),
        *conv(rf"{block}\.conv(\d)", r"layer\1.\2.conv\3"),
        *norm(rf"{block}\.bn(\d)", r"layer\1.\2.bn\3"),
        *conv(rf"{block}\.downsample\.0", r"layer\1.\2.downsample.conv"),
        *norm(rf"{block}\.downsample\.1", r"layer\1.\2.downsample.bn"),
    )
    return _with_classifier(config, "torchvision/timm", rules, "fc", "conv1.weight")


def _transformers(config: ResNet, stem: str) -> KeyLayout:
    """Counts stages and layers from 0; a model saved without its classifier lacks the prefix `resnet.`."""
    prefix = re.escape(stem.removesuffix("embedder.embedder.convolution.weight"))
    embedder = rf"{prefix}embedder\.embedder"
    rules = [*conv(rf"{embedder}\.convolution", "conv1"), *norm(rf"{embedder}\.normalization", "bn1")]
    for stage in range(4):
        block, target = rf"{prefix}encoder\.stages\.{stage}\.layers\.(\d+)", rf"layer{stage + 1}.\1"
        rules += [
            *conv(rf"{block}\.shortcut\.convolution", f"{target}.downsample.conv"),
            *norm(rf"{block}\.shortcut\.normalization", f"{target}.downsample.bn"),
        ]
        for k in range(3):
            rules += [
                *conv(rf"{block}\.layer\.{k}\.convolution", f"{target}.conv{k + 1}"),
                *norm(rf"{block}\.layer\.{k}\.normalization", f"{target}.bn{k + 1}"),
            ]
    return _with_classifier(config, "transformers", tuple(rules), r"classifier\.1", stem)


def _with_classifier(
    config: ResNet, name: str, rules: tuple[KeyRule, ...], pattern: str, stem: str
) -> KeyLayout:
    last, skips = classifier(pattern, "fc", config.classes)
    return KeyLayout(name, rules + last, (COUNTERS, *skips), stem, preprocessing=IMAGENET)


def hint(config: ResNet, keys: Iterable[str], found: KeyLayout) -> str:
    """What the file seems to hold, where that is another depth or no ResNet at all."""
    paths = list(renamed(keys, found.rules).values())
    blocks = [
        {m[2] for p in paths if (m := re.match(r"layer(\d)\.(\d+)\.", p)) and m[1] == str(k)}
        for k in range(1, 5)
    ]
    depth = DEPTHS.get((tuple(map(len, blocks)), any(".conv3." in path for path in paths)))  # type: ignore[arg-type]
    if depth is None:
        return (
            f"The file does not look like a ResNet (depths {', '.join(map(str, BLOCKS))})"
            if not any(blocks)
            else ""
        )
    return f"The file looks like ResNet-{depth}, the config is ResNet(depth={config.depth})" * (
        depth != config.depth
    )


def unknown(config: ResNet, found: KeyLayout, described: bool) -> str:
    """Anti-aliasing and the place of a stride have no parameters."""
    if described or found.name == "transformers":
        return ""
    name = f"resnet{'blur' * config.blur}{config.depth}"
    return (
        f"a file alone does not tell {name} from variants without further parameters (resnet{config.depth}, "
        f"resnetaa{config.depth}, resnetblur{config.depth}, strides in 1 x 1 convolutions): it is computed as {name}"
    )


def check_metadata(config: ResNet, metadata: Mapping[str, Any], about: str) -> None:
    """Refuse variants that have a ResNet's names and shapes but compute something else. Raises UserError."""
    described = metadata.get("config.json", {})
    problems = []
    architecture = described.get("architecture")  # timm's
    name = f"resnet{'blur' * config.blur}{config.depth}"
    named = architecture is not None or (config.blur and described)  # transformers has no blurred ResNet
    if named and not re.fullmatch(rf"(tv_|gluon_)?{name}(_v1b)?", str(architecture)):
        problems.append(f"architecture is {architecture!r}, expected {name!r}")
    problems += differing(described, {"downsample_in_bottleneck": (False,), "hidden_act": ("relu",)})
    refuse(about, problems)


FAMILY = Family(
    name="resnet",
    models=(ResNet,),
    layout=layout,
    stem="conv1.kernel",
    classifier="fc",
    hint=hint,
    unknown=unknown,
    check_metadata=check_metadata,
)
