"""An EfficientNet-B0 with ImageNet weights, its readout trained first and then all of it.

    jaxlab train configs/efficientnet_finetune.py --set data.root=FOLDER

Weights: a hub id, or a local file or folder (--set model.pretrained=FILE.safetensors).

SCORE
"""

from jaxlab.data import Flip, Images, KaggleTable, Shift
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.models import EfficientNet
from jaxlab.optim import AdamW, Cosine, FineTune, Freeze

experiment = Experiment(
    data=KaggleTable(),
    images=Images(size=(224, 224)),
    augment=(Shift(pixels=4), Flip()),
    model=EfficientNet(variant="b0", pretrained="timm/efficientnet_b0.ra_in1k", drop_path=0.1),
    head=Linear(layer="block10", normalize=True, dropout=0.5),
    optimizer=AdamW(lr=1e-3, weight_decay=0.05, clip_norm=1.0, schedule=Cosine(warmup_epochs=1)),
    finetune=FineTune(
        rules=(Freeze(pattern=r"^backbone\.", until_epoch=5),),
        layer_decay=0.8,
        head_rate=3.0,
        statistics="frozen",
    ),
    training=Training(epochs=15, batch_size=32, ema=0.99),
)
