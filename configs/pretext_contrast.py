"""Pretraining without labels: two views of an image are told from those of others (SimCLR, Chen et al. 2020).

jaxlab train configs/pretext_contrast.py --set data.root=FOLDER --run runs/contrast      (all images below FOLDER)
jaxlab train configs/shallow_cnn.py --set data.root=FOLDER --set model.pretrained=runs/contrast

Large batches have more images to tell one from: --set training.batch_size=200.

Not measured yet.
"""

from jaxlab.data import Brightness, Crop, Flip, Images, ImageTree
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Projection
from jaxlab.losses import NTXent
from jaxlab.models import ShallowCNN
from jaxlab.optim import AdamW, Cosine
from jaxlab.pretext import Contrast

experiment = Experiment(
    data=ImageTree(),
    images=Images(size=(56, 56)),
    augment=(Flip(), Crop(pixels=8), Brightness()),
    pretext=Contrast(dimensions=64),
    model=ShallowCNN(channels=(32, 64, 64), kernel_sizes=(7, 3, 3)),
    head=Projection(layer="pool"),
    loss=NTXent(temperature=0.2),
    optimizer=AdamW(lr=2e-3, weight_decay=0.05, schedule=Cosine(warmup_epochs=2)),
    training=Training(epochs=40, batch_size=100),
)
