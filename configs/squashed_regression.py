"""A small CNN on simulated neurons, whose outputs and targets are both squashed by tanh to between -1 and 1.

jaxlab train configs/squashed_regression.py

The network of spread_loss.py, to compare with. On your own Kaggle folder with --set data.root=FOLDER.

Measured on the simulated neurons, validation images, last epoch: mean Pearson r 0.807, and predictions vary 0.787 as
much as responses; without the squashing (spread_loss.py with squared error alone) 0.823 and 0.865.
"""

from jaxlab.data import Images, KaggleOrSimulated
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear, Squashed
from jaxlab.losses import Mse
from jaxlab.models import ShallowCNN
from jaxlab.optim import AdamW, Cosine

experiment = Experiment(
    data=KaggleOrSimulated(),
    images=Images(size=(32, 32)),
    model=ShallowCNN(channels=(16, 16), kernel_sizes=(7, 3)),
    head=Squashed(head=Linear(layer="level2")),
    loss=Mse(),
    optimizer=AdamW(lr=2e-3, schedule=Cosine(warmup_epochs=1)),
    training=Training(epochs=30, batch_size=100),
)
