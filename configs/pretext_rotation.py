"""Pretraining without labels: a shallow CNN says by how many degrees an image was turned (Gidaris et al. 2018).

jaxlab train configs/pretext_rotation.py --set data.root=FOLDER --run runs/rotation      (all images below FOLDER)
jaxlab train configs/shallow_cnn.py --set data.root=FOLDER --set model.pretrained=runs/rotation

Not measured yet.
"""

from jaxlab.data import Images, ImageTree, Shift
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.losses import CrossEntropy
from jaxlab.models import ShallowCNN
from jaxlab.optim import AdamW, Cosine
from jaxlab.pretext import Rotation

experiment = Experiment(
    data=ImageTree(),
    images=Images(size=(56, 56)),
    augment=(Shift(pixels=3),),
    pretext=Rotation(),
    model=ShallowCNN(channels=(32, 64, 64), kernel_sizes=(7, 3, 3)),
    head=Linear(layer="level3", dropout=0.5),
    loss=CrossEntropy(),
    optimizer=AdamW(lr=2e-3, weight_decay=0.05, schedule=Cosine(warmup_epochs=2)),
    training=Training(epochs=40, batch_size=50),
)
