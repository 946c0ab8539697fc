"""A small CNN on simulated neurons, whose predictions are made to vary as much as the responses do.

jaxlab train configs/spread_loss.py

Squared error, and beside it a spread loss whose weight falls from 1 to 0.1; --set "loss.weights=(1.0, 0.0)" is squared
error alone, any two numbers are constant weights. On your own Kaggle folder with --set data.root=FOLDER.

Measured on the simulated neurons, validation images, last epoch: mean Pearson r 0.827, and predictions vary 0.875 as
much as responses (spread_ratio). Squared error alone: 0.823 and 0.865; both weights 1: 0.828 and 0.923.
"""

from jaxlab.data import Images, KaggleOrSimulated
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.losses import Mse, Ramp, Spread, WeightedSum
from jaxlab.models import ShallowCNN
from jaxlab.optim import AdamW, Cosine

experiment = Experiment(
    data=KaggleOrSimulated(),
    images=Images(size=(32, 32)),
    model=ShallowCNN(channels=(16, 16), kernel_sizes=(7, 3)),
    head=Linear(layer="level2"),
    loss=WeightedSum(losses=(Mse(), Spread()), weights=(1.0, Ramp(start=1.0, end=0.1, epochs=20))),
    optimizer=AdamW(lr=2e-3, schedule=Cosine(warmup_epochs=1)),
    training=Training(epochs=30, batch_size=100),
)
