"""A LeNet-5 on grey images that classifies gestures.

jaxlab train configs/gesture_lenet5.py --set data.root=FOLDER --set data.label=COLUMN

Not measured yet.
"""

from jaxlab.data import Flip, Images, KaggleTable, Shift
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.losses import CrossEntropy
from jaxlab.models import LeNet5
from jaxlab.optim import SGD, Step

experiment = Experiment(
    data=KaggleTable(),
    images=Images(size=(126, 126), channels=1),
    augment=(Shift(pixels=4), Flip()),
    model=LeNet5(),
    head=Linear(),
    loss=CrossEntropy(),
    optimizer=SGD(lr=0.01, l2=5e-4, clip_norm=2.0, schedule=Step(epochs=10, factor=0.3, warmup_epochs=1)),
    training=Training(epochs=50, batch_size=200),
)
