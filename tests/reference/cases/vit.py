"""Vision transformers beside their references: at the grid of pretraining, or with position embeddings resized."""

from jaxlab.models import DeiT, DINOv2, ViT
from reference.networks import CLASSES, Case

WIDE, SQUARE = (2, 48, 64, 3), (2, 64, 64, 3)

CASES = [
    *(
        Case(ViT(size=size, classes=CLASSES), f"vit_{size}_timm", "timm", WIDE)
        for size in ("tiny", "small", "base")
    ),
    Case(ViT(image_size=64, classes=CLASSES), "vit_base_torchvision", "torchvision", SQUARE),
    *(
        Case(
            ViT(size=size, image_size=64, norm_eps=1e-12, classes=CLASSES),
            f"vit_{size}_transformers",
            "transformers",
            SQUARE,
        )
        for size in ("tiny", "base")
    ),
    Case(DeiT(size="tiny", classes=CLASSES), "deit_tiny_timm", "timm", WIDE),
    *(
        Case(DeiT(size=size, distilled=True, classes=CLASSES), f"deit_{size}_distilled_timm", "timm", WIDE)
        for size in ("tiny", "small", "base")
    ),
    Case(
        DeiT(size="tiny", image_size=64, distilled=True, norm_eps=1e-12, classes=CLASSES),
        "deit_tiny_distilled_transformers",
        "transformers",
        SQUARE,
    ),
    *(
        Case(DINOv2(size=size, image_size=56), f"dinov2_{size}_timm", "timm", (2, 56, 56, 3))
        for size in ("small", "base")
    ),
    *(
        Case(
            DINOv2(size=size, position_offset=0.0, classes=CLASSES),
            f"dinov2_{size}_transformers",
            "transformers",
            (2, 42, 56, 3),
        )
        for size in ("small", "base")
    ),
]
