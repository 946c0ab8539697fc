"""The shallow CNN with batch norm and a learning rate that falls to 0.6 of itself every three epochs.

jaxlab train configs/shallow_cnn_schedule.py --set data.root=FOLDER

Measured on the V4 sessions of shallow_cnn.py, mean Pearson r on test images: 0.492 and 0.409.
"""

from jaxlab.data import Images, KaggleTable
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.models import ShallowCNN
from jaxlab.optim import Adam, Step

experiment = Experiment(
    data=KaggleTable(),
    images=Images(size=(56, 56)),
    model=ShallowCNN(channels=(32, 64, 64), kernel_sizes=(7, 3, 3), activation="relu", norm="batch"),
    head=Linear(layer="level3"),
    optimizer=Adam(lr=1e-3, schedule=Step(epochs=3, factor=0.6)),
    training=Training(epochs=20, batch_size=50),
)
