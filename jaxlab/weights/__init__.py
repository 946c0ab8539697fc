"""Pretrained weights: read from files and hubs, matched both ways, turned into JAX's shapes."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from jaxlab.core.config import Component
from jaxlab.core.tree import Flat
from jaxlab.core.types import UserError
from jaxlab.models.bert import Bert
from jaxlab.models.efficientnet import EfficientNet
from jaxlab.models.lenet import LeNet5
from jaxlab.models.mobilenetv2 import MobileNetV2
from jaxlab.models.resnet import ResNet
from jaxlab.models.shufflenet import ShuffleNetV2
from jaxlab.models.vit import DeiT, DINOv2, ViT
from jaxlab.weights import bert, efficientnet, lenet, mobilenetv2, resnet, shufflenet, vit
from jaxlab.weights.match import Layout, match, renamed
from jaxlab.weights.preprocessing import preprocessing
from jaxlab.weights.read import read

FAMILIES: dict[type[Component], ModuleType] = {
    Bert: bert,
    EfficientNet: efficientnet,
    LeNet5: lenet,
    MobileNetV2: mobilenetv2,
    ResNet: resnet,
    ShuffleNetV2: shufflenet,
    DINOv2: vit,
    DeiT: vit,
    ViT: vit,
}
CLASSIFIERS = ("fc.bias", "fc3.bias", "head.bias")  # one a family


def load_pretrained(
    config: Component, source: str, params: Flat, stats: Flat, further: int = 0
) -> tuple[Flat, Flat, dict[str, Any]]:
    """The weights of `source` for the module of `config`, and a JSON record of what was done.

    source: a safetensors or PyTorch file, a folder with one, or a hub id. params, stats: the module's flat
        parameters and batch statistics; of them only shapes and dtypes are used. Returns numpy arrays.
    further: so many of the image's last channels are none of the weights' colours; the network's features start as if
        these were not there.
    Raises UserError with everything that does not fit: keys, shapes, dtypes, architecture.
    """
    family = FAMILIES.get(type(config))
    if family is None:
        known = ", ".join(kind.__name__ for kind in FAMILIES)
        raise UserError(f"{type(config).__name__} has no pretrained weights; those that have: {known}")
    arrays, origin = read(source)
    about = f"weights {source} do not fit {type(config).__name__}"
    family.check_metadata(config, origin.metadata, about)
    layout = family.layout(config, arrays)
    adapted = None
    if layout.stem is not None:
        adapted = _adapt_stem(arrays, layout.stem, params[family.STEM].shape[2] - further)
        widened = _widen_stem(arrays, layout.stem, further)
        adapted = "; ".join(done for done in (adapted, widened) if done) or None
    hint = family.hint(config, arrays, layout) or _about_classifier(arrays, layout, params)
    matched = match(arrays, params | stats, layout, about=about, hint=hint)
    record = {
        "source": source,
        "file": origin.file.name,
        "sha256": origin.sha256,
        "revision": origin.revision,
        "layout": layout.name,
        "used": matched.used,
        "skipped": matched.skipped,
        "stem": adapted,
        "preprocessing": {**layout.preprocessing, **preprocessing(origin.metadata)},
    }
    loaded = matched.leaves
    return {path: loaded[path] for path in params}, {path: loaded[path] for path in stats}, record


def stem_of(config: Component) -> str:
    """The path of the kernel that sees the image, in a module that has pretrained weights."""
    return FAMILIES[type(config)].STEM


def _about_classifier(arrays: Mapping[str, np.ndarray], layout: Layout, params: Flat) -> str:
    """What to do about a classifier that the file has not, or of other classes; else ""."""
    keys = {path: key for key, path in renamed(arrays, layout.rules).items()}
    for path in (path for path in CLASSIFIERS if path in params):
        (classes,) = params[path].shape
        if path not in keys:
            return "The file has no classifier; classes=0 leaves the model without one too"
        if arrays[keys[path]].shape != (classes,):
            return f"The file's classifier is not one of {classes} classes; classes=0 leaves it out"
    return ""


def _adapt_stem(arrays: dict[str, np.ndarray], key: str, channels: int) -> str | None:
    """Make the (out, in, h, w) kernel at `key` take `channels`; returns what was done, None if nothing.

    timm's rule: to one channel by the sum, so that a grey image has the effect of its three equal channels;
    to more by repeating the kernel and scaling it by old / new.
    """
    kernel = arrays.get(key)
    if kernel is None or kernel.ndim != 4 or kernel.shape[1] == channels:
        return None
    old = kernel.shape[1]
    if channels == 1:
        arrays[key] = kernel.sum(1, keepdims=True, dtype=np.float32)
        return f"summed over {old} channels"
    arrays[key] = np.take(kernel, np.arange(channels) % old, axis=1).astype(np.float32) * (old / channels)
    return f"repeated from {old} to {channels} channels, times {old}/{channels}"


def _widen_stem(arrays: dict[str, np.ndarray], key: str, further: int) -> str | None:
    """Zero weights for `further` channels behind the kernel's own: gradients reach them, until then nothing changes."""
    kernel = arrays.get(key)
    if kernel is None or kernel.ndim != 4 or not further:
        return None
    arrays[key] = np.pad(kernel.astype(np.float32), ((0, 0), (0, further), (0, 0), (0, 0)))
    return f"{further} further channels of weight 0"
