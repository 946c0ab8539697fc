"""Pretraining without labels: an autoencoder, whose encoder and decoder have as many levels and channels as you like.

jaxlab train configs/pretext_autoencoder.py --set data.root=FOLDER --run runs/autoencoder      (all images below FOLDER)
jaxlab train configs/shallow_cnn.py --set data.root=FOLDER --set model.pretrained=runs/autoencoder

Levels and channels: --set model.channels=32,64,64,128 --set model.kernel_sizes=7,3,3,3 --set head.layer=level4
--set head.channels=128,64,32,16. What passes between the two: --set head.bottleneck=64, or none for the whole map.

Not measured yet.
"""

from jaxlab.data import Flip, Images, ImageTree, Shift
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Decoder
from jaxlab.losses import Mse
from jaxlab.models import ShallowCNN
from jaxlab.optim import AdamW, Cosine
from jaxlab.pretext import Reconstruction

experiment = Experiment(
    data=ImageTree(),
    images=Images(size=(56, 56)),
    augment=(Flip(), Shift(pixels=3)),
    pretext=Reconstruction(),
    model=ShallowCNN(channels=(32, 64, 64), kernel_sizes=(7, 3, 3)),
    head=Decoder(layer="level3", channels=(64, 32, 16), bottleneck=128),
    loss=Mse(),
    optimizer=AdamW(lr=2e-3, weight_decay=0.05, schedule=Cosine(warmup_epochs=2)),
    training=Training(epochs=40, batch_size=50),
)
