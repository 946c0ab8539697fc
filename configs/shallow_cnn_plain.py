"""The shallow CNN without schedule, normalisation, dropout or L2: the row to beat.

jaxlab train configs/shallow_cnn_plain.py --set data.root=FOLDER

Not measured yet.
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
