"""A shallow CNN from scratch on a Kaggle folder of images and responses.

jaxlab train configs/shallow_cnn.py --set data.root=FOLDER

Measured on macaque V4 (Cowley et al. 2023), mean Pearson r on test images: session 190929 (33 neurons, 900 training
images) 0.549; session 210325 (50 neurons, 440) 0.517, and 0.599 of the noise ceiling. The mean of --folds 5: 0.559 and
0.532.
"""

from jaxlab.data import Images, KaggleTable, Shift
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.models import ShallowCNN
from jaxlab.optim import AdamW, Cosine

experiment = Experiment(
    data=KaggleTable(),
    images=Images(size=(56, 56)),
    augment=(Shift(pixels=3),),
    model=ShallowCNN(channels=(32, 64, 64), kernel_sizes=(7, 3, 3), dropout=0.1),
    head=Linear(layer="level3", dropout=0.5),
    optimizer=AdamW(lr=2e-3, weight_decay=0.1, schedule=Cosine(warmup_epochs=2)),
    training=Training(epochs=40, batch_size=50, ema=0.99),
)
