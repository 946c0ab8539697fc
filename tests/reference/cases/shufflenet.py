"""ShuffleNetV2 beside its reference."""

from jaxlab.models import ShuffleNetV2
from reference.networks import CLASSES, Case

CASES = [
    Case(
        ShuffleNetV2(width=width, classes=CLASSES, blur=blur),
        f"shufflenet{'blur' * blur}_{name}",
        "torchvision",
    )
    for width, name in ((0.5, "x0_5"), (1.0, "x1_0"))
    for blur in (False, True)
]
