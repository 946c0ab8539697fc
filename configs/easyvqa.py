"""Questions about pictures of one coloured shape (easy-VQA), learned from nothing: a shallow CNN times a bag of words.

    jaxlab train configs/easyvqa.py --seeds 1

The pictures and questions come with a package: pip install 'jaxlab[easyvqa]'. Validation is on other pictures than
training; of a study of seeds, as here of one, the questions of the package's test set are scored, too.

Measured, one seed, last epoch: accuracy 1.000 on the 9,673 test questions and in validation, where it is 0.998 after
three epochs. All of it takes three minutes on two cores (`time jaxlab train configs/easyvqa.py`).
"""

from jaxlab.data import EasyVQA, Flip, GroupedSplit, Images, Shift, Words
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.losses import CrossEntropy
from jaxlab.models import BagOfWords, Fusion, ImageAndText, ShallowCNN
from jaxlab.optim import AdamW, Cosine

experiment = Experiment(
    data=EasyVQA(),
    images=Images(size=(32, 32)),
    split=GroupedSplit(column="image"),
    augment=(Flip(), Shift(pixels=2)),
    model=ImageAndText(
        image=ShallowCNN(channels=(16, 32, 64), kernel_sizes=(5, 3, 3)),
        text=BagOfWords(width=64),
        tokenizer=Words(),
        fusion=Fusion(how="product", width=256),
    ),
    head=Linear(),
    loss=CrossEntropy(),
    optimizer=AdamW(lr=3e-3, weight_decay=1e-2, schedule=Cosine(warmup_epochs=1)),
    training=Training(epochs=20, batch_size=128, ema=0.99),
)
