"""A ResNet-50 with ImageNet weights that predicts IT neurons and the object that is seen, from NX-414's file.

jaxlab train configs/biobjective_resnet.py --set data.root=IT_data.h5

The object's weight of 1 is that of the neurons; 0.3 is --set objectives.object.weight=0.3. Both are learned
(Kendall et al. 2018) with --set objectives.activity.learned=true --set objectives.object.learned=true. Epochs' lines
say whether the two pull the network the same way; `jaxlab predict RUN --objective object` predicts the objects.

Not measured yet. A small network from scratch in its place, on two simulated files: with weight 1 r of the activity is
0.013 and 0.018 lower than without the object, with 0.3 0.005 lower (tools/two_objectives.py).
"""

from jaxlab.data import NX414, ColumnSplit, Images, Shift
from jaxlab.experiment import Experiment, Objective, Training
from jaxlab.heads import Linear
from jaxlab.losses import CrossEntropy
from jaxlab.models import ResNet
from jaxlab.optim import AdamW, Cosine

experiment = Experiment(
    data=NX414(),
    images=Images(size=(224, 224), filter="bicubic"),
    split=ColumnSplit(),
    augment=(Shift(pixels=4),),
    model=ResNet(depth=50, pretrained="timm/resnet50.a1_in1k"),
    objectives={
        "activity": Objective(head=Linear(layer="layer3", dropout=0.5)),
        "object": Objective(head=Linear(dropout=0.5), loss=CrossEntropy(), of="object", weight=1.0),
    },
    optimizer=AdamW(lr=1e-4, weight_decay=0.05, clip_norm=1.0, schedule=Cosine(warmup_epochs=1)),
    training=Training(epochs=15, batch_size=32, ema=0.99),
)
