"""Goldens of the ResNets: torchvision, timm and transformers."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from golden_common import CLASSES, Job, reference

Maker = Callable[..., tuple[torch.nn.Module, dict[str, str]]]


def torchvision_resnet(depth: int) -> tuple[torch.nn.Module, dict[str, str]]:
    """The model, and the module whose output is each feature."""
    import torchvision

    model = getattr(torchvision.models, f"resnet{depth}")(weights=None, num_classes=CLASSES)
    return model, {"stem": "relu", **{f"layer{k}": f"layer{k}" for k in range(1, 5)}}


def timm_resnet(depth: int, name: str = "resnet") -> tuple[torch.nn.Module, dict[str, str]]:
    import timm

    model = timm.create_model(f"{name}{depth}", pretrained=False, num_classes=CLASSES)
    return model, {"stem": "act1", **{f"layer{k}": f"layer{k}" for k in range(1, 5)}}


def transformers_resnet(depth: int) -> tuple[torch.nn.Module, dict[str, str]]:
    from transformers import ResNetConfig, ResNetForImageClassification

    deep = depth >= 50
    config = ResNetConfig(
        depths={18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3], 101: [3, 4, 23, 3]}[depth],
        hidden_sizes=[256, 512, 1024, 2048] if deep else [64, 128, 256, 512],
        layer_type="bottleneck" if deep else "basic",
        num_labels=CLASSES,
    )
    stages = {f"layer{k + 1}": f"resnet.encoder.stages.{k}" for k in range(4)}
    return ResNetForImageClassification(config), {"stem": "resnet.embedder.embedder", **stages}


def resnet(make: Maker, *arguments: Any) -> dict[str, np.ndarray]:
    return reference(*make(*arguments))


MAKERS = {"torchvision": torchvision_resnet, "timm": timm_resnet, "transformers": transformers_resnet}
JOBS: dict[str, Job] = {
    f"resnet{depth}_{layout}": partial(resnet, make, depth)
    for layout, make in MAKERS.items()
    for depth in (18, 34, 50, 101)
}
JOBS |= {f"resnetblur{depth}_timm": partial(resnet, timm_resnet, depth, "resnetblur") for depth in (18, 50)}
