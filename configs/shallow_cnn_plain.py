"""The shallow CNN without schedule, normalisation, dropout or L2: the row to beat.

jaxlab train configs/shallow_cnn_plain.py --set data.root=FOLDER

Measured on the V4 sessions of shallow_cnn.py, mean Pearson r on test images: 0.435 and 0.444.
"""

from jaxlab.data import Images, KaggleTable
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.models import ShallowCNN
from jaxlab.optim import Adam

experiment = Experiment(
    data=KaggleTable(),
    images=Images(size=(56, 56)),
    model=ShallowCNN(channels=(32, 64, 64), kernel_sizes=(7, 3, 3), activation="relu", norm="none"),
    head=Linear(layer="level3"),
    optimizer=Adam(lr=1e-3),
    training=Training(epochs=20, batch_size=50),
)
