"""Questions on pictures of one coloured shape: a small network of images and a bag of words, multiplied."""

from jaxlab.data import EasyVQA, GroupedSplit, Images, Words
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.losses import CrossEntropy
from jaxlab.models import BagOfWords, Fusion, ImageAndText, ShallowCNN
from jaxlab.optim import AdamW, Cosine

experiment = Experiment(
    data=EasyVQA(),
    images=Images(size=(64, 64)),
    split=GroupedSplit(column="image"),
    model=ImageAndText(
        image=ShallowCNN(channels=(16, 32, 64, 128), kernel_sizes=(3, 3, 3, 3)),
        text=BagOfWords(width=64),
        tokenizer=Words(),
        fusion=Fusion(how="product", width=256),
    ),
    head=Linear(),
    loss=CrossEntropy(),
    optimizer=AdamW(lr=1e-3, weight_decay=1e-4, schedule=Cosine(warmup_epochs=1)),
    training=Training(epochs=15, batch_size=128),
)
