"""Pretraining without labels: a shallow CNN says in which order an image's tiles were laid (Noroozi & Favaro 2016).

jaxlab train configs/pretext_jigsaw.py --set data.root=FOLDER --run runs/jigsaw      (all images below FOLDER)
jaxlab train configs/shallow_cnn.py --set data.root=FOLDER --set model.pretrained=runs/jigsaw

Not measured yet.
"""

from jaxlab.data import Images, ImageTree
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.losses import CrossEntropy
from jaxlab.models import ShallowCNN
from jaxlab.optim import AdamW, Cosine
from jaxlab.pretext import Jigsaw

experiment = Experiment(
    data=ImageTree(),
    images=Images(size=(56, 56)),
    pretext=Jigsaw(grid=3, permutations=30),
    model=ShallowCNN(channels=(32, 64, 64), kernel_sizes=(7, 3, 3)),
    head=Linear(layer="level3", dropout=0.5),
    loss=CrossEntropy(),
    optimizer=AdamW(lr=2e-3, weight_decay=0.05, schedule=Cosine(warmup_epochs=2)),
    training=Training(epochs=40, batch_size=50),
)
