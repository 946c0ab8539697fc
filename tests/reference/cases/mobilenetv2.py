"""MobileNetV2 beside its references."""

from jaxlab.models import MobileNetV2
from reference.networks import CLASSES, Case

CASES = [
    Case(
        MobileNetV2(
            width=width, convention="tensorflow" if made_by == "transformers" else "pytorch", classes=CLASSES
        ),
        f"mobilenetv2_{round(100 * width):03d}_{made_by}",
        made_by,
    )
    for width in (0.5, 1.0, 1.4)
    for made_by in ("torchvision", "timm", "transformers")
]
