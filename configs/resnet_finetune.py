"""A ResNet-50 with ImageNet weights, fine-tuned on a Kaggle folder of images and responses.

    jaxlab train configs/resnet_finetune.py --set data.root=FOLDER

Weights: a hub id, or a local file or folder (--set model.pretrained=FILE.safetensors); none trains from scratch.

Measured from scratch as a ResNet-18 (model.depth=18 model.pretrained=none images.size=64,64 head.layer=layer2
optimizer.lr=1e-3 training.epochs=30 augment.0.pixels=3) on the V4 sessions of shallow_cnn.py: r 0.512 and 0.441. With
ImageNet weights it has not been measured yet.
"""

from jaxlab.data import Flip, Images, KaggleTable, Shift
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.models import ResNet
from jaxlab.optim import AdamW, Cosine

experiment = Experiment(
    data=KaggleTable(),
    images=Images(size=(224, 224), filter="bicubic"),
    augment=(Shift(pixels=4), Flip()),
    model=ResNet(depth=50, pretrained="timm/resnet50.a1_in1k"),
    head=Linear(layer="layer3", dropout=0.5),
    optimizer=AdamW(lr=1e-4, weight_decay=0.05, clip_norm=1.0, schedule=Cosine(warmup_epochs=1)),
    training=Training(epochs=15, batch_size=32, ema=0.99),
)
