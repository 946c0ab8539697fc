"""ResNets beside their references."""

from jaxlab.models import ResNet
from reference.networks import CLASSES, Case

CASES = [
    Case(
        ResNet(depth=depth, classes=CLASSES),
        f"resnet{depth}_{made_by}",
        "transformers" if made_by == "transformers" else "torchvision/timm",
    )
    for depth in (18, 34, 50, 101)
    for made_by in ("torchvision", "timm", "transformers")
]
CASES += [
    Case(ResNet(depth=depth, classes=CLASSES, blur=True), f"resnetblur{depth}_timm", "torchvision/timm")
    for depth in (18, 50)
]
