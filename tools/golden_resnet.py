"""Goldens of the ResNets: torchvision, timm and transformers."""

from functools import partial

import numpy as np
import torch
from golden_common import CLASSES, Job, reference


def torchvision_resnet(depth: int) -> tuple[torch.nn.Module, dict[str, str]]:
    """The model, and the module whose output is each feature."""
    import torchvision

    model = getattr(torchvision.models, f"resnet{depth}")(weights=None, num_classes=CLASSES)
    return model, {"stem": "relu", **{f"layer{k}": f"layer{k}" for k in range(1, 5)}}


def timm_resnet(depth: int) -> tuple[torch.nn.Module, dict[str, str]]:
    import timm

    model = timm.create_model(f"resnet{depth}", pretrained=False, num_classes=CLASSES)
    return model, {"stem": "act1", **{f"layer{k}": f"layer{k}" for k in range(1, 5)}}


def transformers_resnet(depth: int) -> tuple[torch.nn.Module, dict[str, str]]:
    from transformers import ResNetConfig, ResNetForImageClassification

    deep = depth == 50
    config = ResNetConfig(
        depths={18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3]}[depth],
        hidden_sizes=[256, 512, 1024, 2048] if deep else [64, 128, 256, 512],
        layer_type="bottleneck" if deep else "basic",
        num_labels=CLASSES,
    )
    stages = {f"layer{k + 1}": f"resnet.encoder.stages.{k}" for k in range(4)}
    return ResNetForImageClassification(config), {"stem": "resnet.embedder.embedder", **stages}


def resnet(layout: str, depth: int) -> dict[str, np.ndarray]:
    make = {"torchvision": torchvision_resnet, "timm": timm_resnet, "transformers": transformers_resnet}
    return reference(*make[layout](depth))


JOBS: dict[str, Job] = {
    f"resnet{depth}_{layout}": partial(resnet, layout, depth)
    for layout in ("torchvision", "timm", "transformers")
    for depth in (18, 34, 50)
}
