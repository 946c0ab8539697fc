"""How torchvision names the weights of a ShuffleNetV2; timm and transformers have none."""

from collections.abc import Iterable, Mapping
from typing import Any

from jaxlab.models.shufflenet import WIDTHS, ShuffleNetV2
from jaxlab.weights.family import Family
from jaxlab.weights.match import KeyLayout
from jaxlab.weights.rules import COUNTERS, IMAGENET, classifier, conv, norm

# What stands at each place of torchvision's two sequences.
CONVOLUTIONS = {"branch1.0": "depthwise", "branch1.2": "pointwise"} | {
    "branch2.0": "first",
    "branch2.3": "depthwise",
    "branch2.5": "pointwise",
}


def layout(config: ShuffleNetV2, keys: Iterable[str]) -> KeyLayout:
    """torchvision's, whatever the keys."""
    rules = [
        *conv("conv1.0", "conv1"),
        *norm("conv1.1", "bn1"),
        *conv("conv5.0", "conv5"),
        *norm("conv5.1", "bn5"),
    ]
    for place, name in CONVOLUTIONS.items():
        branch, number = place.split(".")
        block, target = rf"(stage\d\.\d+\.{branch})", rf"\1.{name}"
        rules += [*conv(rf"{block}\.{number}", target), *norm(rf"{block}\.{int(number) + 1}", f"{target}_bn")]
    last, skips = classifier("fc", "fc", config.classes)
    return KeyLayout(
        "torchvision", (*rules, *last), (COUNTERS, *skips), "conv1.0.weight", preprocessing=IMAGENET
    )


def hint(config: ShuffleNetV2, arrays: Mapping[str, Any], found: KeyLayout) -> str:
    """What the file seems to hold, where that is another width or no ShuffleNetV2 at all."""
    kernel = arrays.get("stage2.1.branch2.0.weight")
    if kernel is None or kernel.ndim != 4:
        return "The file does not look like a ShuffleNetV2 of torchvision"
    known = {widths[0] // 2: f"ShuffleNetV2(width={width})" for width, widths in WIDTHS.items()}
    known |= {88: "ShuffleNetV2 1.5x, which jaxlab has not", 122: "ShuffleNetV2 2.0x, which jaxlab has not"}
    width = kernel.shape[0]
    if width == WIDTHS[config.width][0] // 2:
        return ""
    name = known.get(width, f"a ShuffleNetV2 of {2 * width} channels in stage2, which jaxlab has not")
    return f"The file looks like {name}, the config is ShuffleNetV2(width={config.width})"


FAMILY = Family(  # torchvision writes no metadata
    name="shufflenet",
    models=(ShuffleNetV2,),
    layout=layout,
    stem="conv1.kernel",
    classifier="fc",
    hint=hint,
)
