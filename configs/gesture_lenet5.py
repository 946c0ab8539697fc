"""A LeNet-5 that classifies simulated gestures.

jaxlab train configs/gesture_lenet5.py

On your own Kaggle folder with --set data.root=FOLDER.

Measured on simulated gestures, last epoch, mean and standard deviation over five seeds: accuracy 0.748 ± 0.007 in
training (mirrored, shifted images), 0.731 ± 0.038 in validation, 0.749 ± 0.020 on the 500 test images
(`python tools/gesture_ladder.py FOLDER --seeds 5 --only lenet5`).
"""

from jaxlab.data import Flip, Gestures, Images, KaggleOrSimulated, Shift
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.losses import CrossEntropy
from jaxlab.models import LeNet5
from jaxlab.optim import SGD, Step

experiment = Experiment(
    data=KaggleOrSimulated(simulated=Gestures(imbalance=2.0)),
    images=Images(size=(64, 64)),
    augment=(Shift(pixels=4), Flip()),
    model=LeNet5(),
    head=Linear(),
    loss=CrossEntropy(),
    optimizer=SGD(lr=0.05, l2=5e-4, clip_norm=2.0, schedule=Step(epochs=15, factor=0.1, warmup_epochs=1)),
    training=Training(epochs=40, batch_size=100),
)
