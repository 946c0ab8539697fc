"""A shallow CNN on simulated neurons; on your own Kaggle folder with --set data.root=FOLDER.

jaxlab train configs/quickstart.py

Measured on the simulated neurons (`make demo`): mean Pearson r 0.859 on test images, 0.957 of the noise ceiling.
"""

from jaxlab.data import Images, KaggleOrSimulated, Shift
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.models import ShallowCNN
from jaxlab.optim import AdamW, Cosine

experiment = Experiment(
    data=KaggleOrSimulated(),
    images=Images(size=(64, 64)),
    augment=(Shift(pixels=2),),
    model=ShallowCNN(channels=(32, 48, 64), kernel_sizes=(7, 3, 3)),
    head=Linear(layer="level3", dropout=0.2),
    optimizer=AdamW(lr=2e-3, weight_decay=0.05, schedule=Cosine(warmup_epochs=1)),
    training=Training(epochs=8, batch_size=64),
)
