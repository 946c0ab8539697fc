"""Goldens of ShuffleNetV2: torchvision's, and with blurred strides."""

from functools import partial

import numpy as np
import torch
from golden_common import CLASSES, Job, reference


def blurred(model: torch.nn.Module) -> torch.nn.Module:
    """Strides anti-aliased after the stem, by the rule of Zhang 2019 for MobileNetV2.

    No library has a blurred ShuffleNet (antialiased-cnns 0.3 blurs ResNet, VGG, DenseNet and MobileNetV2), so the
    rule is written down here with timm's BlurPool2d: the stem keeps its stride, pooling is dense and then blurred,
    and a strided depthwise convolution with its norm becomes a dense one, then blurred.
    """
    from timm.layers import BlurPool2d

    model.maxpool = torch.nn.Sequential(torch.nn.MaxPool2d(3, 1, 1), BlurPool2d(24))
    for stage in (model.stage2, model.stage3, model.stage4):
        for branch, place in ((stage[0].branch1, 0), (stage[0].branch2, 3)):
            branch[place].stride = (1, 1)
            norm = branch[place + 1]
            blur = BlurPool2d(norm.num_features)  # in a hook, so that the state dict keeps its keys
            norm.register_forward_hook(partial(lambda blur, _, __, output: blur(output), blur))
    return model


def shufflenet(width: str, blur: bool) -> dict[str, np.ndarray]:
    import torchvision

    model = getattr(torchvision.models, f"shufflenet_v2_{width}")(weights=None, num_classes=CLASSES)
    stages = {"stem": "conv1", **{name: name for name in ("stage2", "stage3", "stage4", "conv5")}}
    return reference(blurred(model) if blur else model, stages)


JOBS: dict[str, Job] = {
    f"shufflenet{'blur' * blur}_{width}": partial(shufflenet, width, blur)
    for width in ("x0_5", "x1_0")
    for blur in (False, True)
}
