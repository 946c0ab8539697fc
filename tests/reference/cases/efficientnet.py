"""EfficientNets beside their references."""

from jaxlab.models import EfficientNet
from reference.networks import CLASSES, Case

PAPER = [f"b{k}" for k in range(5)]
LITE = [f"lite{k}" for k in range(5)]
EVEN = (2, 64, 96, 3)  # transformers pads as TensorFlow where all strided maps are even
LAYOUTS = {  # of the golden's name: layout, convention, variants
    "timm": ("timm", "pytorch", PAPER + LITE),
    "timm_tf": ("timm", "tensorflow", PAPER + LITE),
    "torchvision": ("torchvision", "pytorch", PAPER),
    "transformers": ("transformers", "tensorflow", PAPER),
    "lukemelas": ("efficientnet-pytorch", "tensorflow", PAPER + LITE),
}
CASES = [
    Case(
        EfficientNet(variant=variant, convention=convention, classes=CLASSES),
        f"efficientnet_{variant}_{made_by}",
        layout,
        **({"images": EVEN} if made_by == "transformers" else {}),
    )
    for made_by, (layout, convention, variants) in LAYOUTS.items()
    for variant in variants
]
