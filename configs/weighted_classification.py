"""A LeNet-5 on simulated gestures of which some are rare, with classes weighted in part.

jaxlab train configs/weighted_classification.py

A sample counts by frequency ** -0.5 of its class; --set loss.class_weight_strength=0 takes all samples alike, 1 all
classes. On your own Kaggle folder with --set data.root=FOLDER.

Measured on 300 validation images, last epoch, one seed, at strengths 0, 0.5 and 1: accuracy 0.833, 0.793, 0.753; macro
F1 0.803, 0.662, 0.642; macro recall 0.773, 0.676, 0.744.
"""

from jaxlab.data import Flip, Gestures, Images, KaggleOrSimulated, Shift
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.losses import CrossEntropy
from jaxlab.models import LeNet5
from jaxlab.optim import SGD, Step

experiment = Experiment(
    data=KaggleOrSimulated(simulated=Gestures(imbalance=16.0)),
    images=Images(size=(64, 64)),
    augment=(Shift(pixels=4), Flip()),
    model=LeNet5(),
    head=Linear(),
    loss=CrossEntropy(class_weight_strength=0.5),
    optimizer=SGD(lr=0.05, l2=5e-4, clip_norm=2.0, schedule=Step(epochs=15, factor=0.3, warmup_epochs=1)),
    training=Training(epochs=50, batch_size=100),
)
