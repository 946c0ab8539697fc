"""Images and responses: where they come from, how they are split, decoded, batched and augmented."""

from jaxlab.data.arrays import Arrays
from jaxlab.data.augment import (
    Augmentation,
    Blur,
    BoxBlur,
    Brightness,
    Crop,
    Cutout,
    Flip,
    Normalize,
    Shift,
    augment,
)
from jaxlab.data.balance import Balance, MirrorCopies, Oversample
from jaxlab.data.channels import (
    Canny,
    Channel,
    FourierMagnitude,
    GaborBank,
    Gradient,
    Grey,
    Sobel,
    Wavelet,
)
from jaxlab.data.files import file_samples, list_folder
from jaxlab.data.images import Images, decode
from jaxlab.data.masks import WithMasks
from jaxlab.data.mix import CutMix, Mix, Mixup
from jaxlab.data.pipeline import Batches, evaluation_batches, prefetch
from jaxlab.data.quickstart import KaggleOrSimulated
from jaxlab.data.simulated import Simulated
from jaxlab.data.source import Opened, Source, fingerprint
from jaxlab.data.split import ColumnSplit, GroupedSplit, KFold, RandomSplit, Split
from jaxlab.data.table import KaggleTable

__all__ = [
    "Arrays",
    "Augmentation",
    "Balance",
    "Batches",
    "Blur",
    "BoxBlur",
    "Brightness",
    "Canny",
    "Channel",
    "ColumnSplit",
    "Crop",
    "CutMix",
    "Cutout",
    "Flip",
    "FourierMagnitude",
    "GaborBank",
    "Gradient",
    "Grey",
    "GroupedSplit",
    "Images",
    "KFold",
    "KaggleOrSimulated",
    "KaggleTable",
    "MirrorCopies",
    "Mix",
    "Mixup",
    "Normalize",
    "Opened",
    "Oversample",
    "RandomSplit",
    "Shift",
    "Simulated",
    "Sobel",
    "Source",
    "Split",
    "Wavelet",
    "WithMasks",
    "augment",
    "decode",
    "evaluation_batches",
    "file_samples",
    "fingerprint",
    "list_folder",
    "prefetch",
]
