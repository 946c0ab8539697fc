"""Images and responses: where they come from, how they are split, decoded, batched and augmented."""

from jaxlab.data.algonauts import Algonauts
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
from jaxlab.data.easyvqa import EasyVQA
from jaxlab.data.files import file_samples, list_folder
from jaxlab.data.folders import ImageFolders
from jaxlab.data.images import Images, decode
from jaxlab.data.masks import WithMasks
from jaxlab.data.mix import CutMix, Mix, Mixup
from jaxlab.data.mnist import Mnist
from jaxlab.data.nx414 import NX414
from jaxlab.data.pipeline import Batches, evaluation_batches, prefetch
from jaxlab.data.quickstart import KaggleOrSimulated
from jaxlab.data.sensorium import Sensorium
from jaxlab.data.simulated import Simulated
from jaxlab.data.source import Opened, Source, fingerprint
from jaxlab.data.split import ColumnSplit, GroupedSplit, KFold, RandomSplit, Split
from jaxlab.data.table import KaggleTable
from jaxlab.data.tfds import Tfds
from jaxlab.data.vqa import VQAv2

__all__ = [
    "NX414",
    "Algonauts",
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
    "EasyVQA",
    "Flip",
    "FourierMagnitude",
    "GaborBank",
    "Gradient",
    "Grey",
    "GroupedSplit",
    "ImageFolders",
    "Images",
    "KFold",
    "KaggleOrSimulated",
    "KaggleTable",
    "MirrorCopies",
    "Mix",
    "Mixup",
    "Mnist",
    "Normalize",
    "Opened",
    "Oversample",
    "RandomSplit",
    "Sensorium",
    "Shift",
    "Simulated",
    "Sobel",
    "Source",
    "Split",
    "Tfds",
    "VQAv2",
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
