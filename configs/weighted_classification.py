"""A LeNet-5 on simulated gestures of which some are rare, with classes weighted in part.

jaxlab train configs/weighted_classification.py

A sample counts by frequency ** -0.5 of its class; --set loss.class_weight_strength=0 takes all samples alike, 1 all
classes. On your own Kaggle folder with --set data.root=FOLDER.

Measured on 300 validation images, one seed, after 36 epochs and more, by strength: 0, accuracy 0.807 and macro F1 0.772;
0.5, 0.780 and 0.641; 1, 0.760 and 0.648. Macro recall: 0.734, 0.653, 0.750.
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
