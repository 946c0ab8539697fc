"""Pretraining without labels: a shallow CNN fills in patches of images that were covered (He et al. 2022).

jaxlab train configs/pretext_masked.py --set data.root=FOLDER --run runs/masked      (all images below FOLDER)
jaxlab train configs/shallow_cnn.py --set data.root=FOLDER --set model.pretrained=runs/masked

Not measured yet.
"""

from jaxlab.data import Flip, Images, ImageTree, Shift
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Decoder
from jaxlab.losses import Mse
from jaxlab.models import ShallowCNN
from jaxlab.optim import AdamW, Cosine
from jaxlab.pretext import Masked

experiment = Experiment(
    data=ImageTree(),
    images=Images(size=(56, 56)),
    augment=(Flip(), Shift(pixels=3)),
    pretext=Masked(patch=8, ratio=0.6),
    model=ShallowCNN(channels=(32, 64, 64), kernel_sizes=(7, 3, 3)),
    head=Decoder(layer="level3", channels=(64, 32, 16)),
    loss=Mse(),
    optimizer=AdamW(lr=2e-3, weight_decay=0.05, schedule=Cosine(warmup_epochs=2)),
    training=Training(epochs=40, batch_size=50),
)
