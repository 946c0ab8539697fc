"""A ViT-base (patches of 16 pixels) with ImageNet weights, fine-tuned with layer-wise learning rates.

    jaxlab train configs/vit_base_finetune.py --set data.root=FOLDER

Weights: a hub id, or a local file or folder (--set model.pretrained=FILE.safetensors).

Not measured yet.
"""

from jaxlab.data import Flip, Images, KaggleTable, Shift
from jaxlab.experiment import Experiment, Training
from jaxlab.heads import Linear
from jaxlab.models import ViT
from jaxlab.optim import AdamW, Cosine, FineTune

experiment = Experiment(
    data=KaggleTable(),
    images=Images(size=(224, 224)),
    augment=(Shift(pixels=4), Flip()),
    model=ViT(size="base", pretrained="timm/vit_base_patch16_224.augreg_in21k_ft_in1k", drop_path=0.1),
    head=Linear(layer="block7", normalize=True, dropout=0.5),
    optimizer=AdamW(lr=1e-4, weight_decay=0.05, clip_norm=1.0, schedule=Cosine(warmup_epochs=2)),
    finetune=FineTune(layer_decay=0.75, head_rate=10.0),
    training=Training(epochs=15, batch_size=32, ema=0.99),
)
