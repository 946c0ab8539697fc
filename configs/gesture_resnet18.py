"""A ResNet-18 from scratch that classifies simulated gestures.

jaxlab train configs/gesture_resnet18.py

On your own Kaggle folder with --set data.root=FOLDER.

Measured on simulated gestures, last epoch, mean and standard deviation over five seeds: accuracy 0.959 ± 0.018 in
training (mirrored, shifted images), 0.913 ± 0.011 in validation, 0.906 ± 0.015 on the 500 test images
(`python tools/gesture_ladder.py FOLDER --seeds 5 --only resnet18`).
"""

from jaxlab.data import Flip, Gestures, Images, KaggleOrSimulated, Shift
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.losses import CrossEntropy
from jaxlab.models import ResNet
from jaxlab.optim import SGD, Step

experiment = Experiment(
    data=KaggleOrSimulated(simulated=Gestures(imbalance=2.0)),
    images=Images(size=(64, 64)),
    augment=(Shift(pixels=4), Flip()),
    model=ResNet(depth=18),
    head=Linear(),
    loss=CrossEntropy(),
    optimizer=SGD(lr=0.1, l2=5e-4, clip_norm=2.0, schedule=Step(epochs=8, factor=0.1, warmup_epochs=1)),
    training=Training(epochs=20, batch_size=100),
)
