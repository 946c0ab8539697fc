"""A tiny experiment with everything in it that could differ between devices or after a resume."""

from jaxlab.data.device.augment import Flip, Shift
from jaxlab.data.sources.arrays import Arrays
from jaxlab.data.split import RandomSplit
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.models.shallow_cnn import ShallowCNN
from jaxlab.optim import AdamW, Cosine

experiment = Experiment(
    data=Arrays(),
    split=RandomSplit(validation=0.2),  # 35 to train on, in batches of 8; 9 to validate on
    augment=(Flip(), Shift(pixels=2)),
    model=ShallowCNN(channels=(4, 6), kernel_sizes=(3, 3), dropout=0.2),
    head=Linear(layer="level2", dropout=0.2),
    optimizer=AdamW(lr=1e-2, schedule=Cosine(warmup_steps=2)),
    training=Training(epochs=3, batch_size=8, checkpoint_steps=3, ema=0.9),
)
