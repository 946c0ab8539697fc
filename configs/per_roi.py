"""A small CNN on simulated neurons of two areas, each with a readout of its own; the network is shared.

jaxlab train configs/per_roi.py

An area is a regular expression of target names: --set "head.parts.0.targets=V1.*". On your own Kaggle folder with
--set data.root=FOLDER; --set "data.targets=('n00', 'n01')" trains on some of its targets alone.

Measured on the simulated neurons, of which none is early or late, validation images, last epoch: mean Pearson r 0.808.
All at once from level2, in one readout (spread_loss.py with squared error alone): 0.823. Each half of the neurons
alone, with a network of its own (the same with data.targets): 0.821 and 0.836, so 0.828.
"""

from jaxlab.data import Images, KaggleOrSimulated
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import ROI, Linear, PerROI
from jaxlab.models import ShallowCNN
from jaxlab.optim import AdamW, Cosine

experiment = Experiment(
    data=KaggleOrSimulated(),
    images=Images(size=(32, 32)),
    model=ShallowCNN(channels=(16, 16), kernel_sizes=(7, 3)),
    head=PerROI(
        parts=(
            ROI(name="early", targets=r"n[01]\d", head=Linear(layer="level1")),
            ROI(name="late", targets=r"n[23]\d", head=Linear(layer="level2")),
        )
    ),
    optimizer=AdamW(lr=2e-3, schedule=Cosine(warmup_epochs=1)),
    training=Training(epochs=30, batch_size=100),
)
