"""The shallow CNN with schedule, batch norm, dropout and L2.

jaxlab train configs/shallow_cnn_l2.py --set data.root=FOLDER

Measured on the V4 sessions of shallow_cnn.py, mean Pearson r on test images: 0.410 and 0.395.
"""

from jaxlab.data import Images, KaggleTable
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.models import ShallowCNN
from jaxlab.optim import Adam, Step

experiment = Experiment(
    data=KaggleTable(),
    images=Images(size=(56, 56)),
    model=ShallowCNN(
        channels=(32, 64, 64), kernel_sizes=(7, 3, 3), activation="relu", norm="batch", dropout=0.2
    ),
    head=Linear(layer="level3"),
    optimizer=Adam(lr=1e-3, l2=1e-3, schedule=Step(epochs=3, factor=0.6)),
    training=Training(epochs=20, batch_size=50),
)
