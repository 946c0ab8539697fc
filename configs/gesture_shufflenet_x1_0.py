"""A ShuffleNetV2 from scratch that classifies gestures.

jaxlab train configs/gesture_shufflenet_x1_0.py --set data.root=FOLDER --set data.label=COLUMN

Not measured yet.
"""

from jaxlab.data import Flip, Images, KaggleTable, Shift
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.losses import CrossEntropy
from jaxlab.models import ShuffleNetV2
from jaxlab.optim import SGD, Step

experiment = Experiment(
    data=KaggleTable(),
    images=Images(size=(126, 126)),
    augment=(Shift(pixels=4), Flip()),
    model=ShuffleNetV2(width=1.0),
    head=Linear(),
    loss=CrossEntropy(),
    optimizer=SGD(lr=0.1, l2=5e-4, clip_norm=2.0, schedule=Step(epochs=10, factor=0.3, warmup_epochs=1)),
    training=Training(epochs=50, batch_size=200),
)
