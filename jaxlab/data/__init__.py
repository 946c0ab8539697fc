"""Images and responses: where they come from, how they are split, decoded, batched and augmented."""

from jaxlab.data.balance import Balance, MirrorCopies, Oversample
from jaxlab.data.device.augment import (
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
from jaxlab.data.device.channels import (
    Canny,
    Channel,
    FourierMagnitude,
    GaborBank,
    Gradient,
    Grey,
    Sobel,
    Wavelet,
)
from jaxlab.data.device.mix import CutMix, Mix, Mixup
from jaxlab.data.images import Images, decode
from jaxlab.data.pipeline import Batches, evaluation_batches, prefetch
from jaxlab.data.readers.image_files import file_samples, list_folder
from jaxlab.data.readers.words import Words
from jaxlab.data.source import Opened, Source, fingerprint
from jaxlab.data.sources.algonauts import Algonauts
from jaxlab.data.sources.arrays import Arrays
from jaxlab.data.sources.easyvqa import EasyVQA
from jaxlab.data.sources.folders import ImageFolders
from jaxlab.data.sources.gestures import Gestures
from jaxlab.data.sources.kaggle_or_simulated import KaggleOrSimulated
from jaxlab.data.sources.masks import WithMasks
from jaxlab.data.sources.mnist import Mnist
from jaxlab.data.sources.nx414 import NX414
from jaxlab.data.sources.pooled import Pooled
from jaxlab.data.sources.sensorium import Sensorium
from jaxlab.data.sources.simulated import Simulated
from jaxlab.data.sources.table import KaggleTable
from jaxlab.data.sources.tfds import Tfds
from jaxlab.data.sources.unlabelled import ImageTree, Unlabelled
from jaxlab.data.sources.vizwiz import VizWiz
from jaxlab.data.sources.vqa import VQAv2
from jaxlab.data.split import ColumnSplit, GroupedSplit, KFold, RandomSplit, Split

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
    "Gestures",
    "Gradient",
    "Grey",
    "GroupedSplit",
    "ImageFolders",
    "ImageTree",
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
    "Pooled",
    "RandomSplit",
    "Sensorium",
    "Shift",
    "Simulated",
    "Sobel",
    "Source",
    "Split",
    "Tfds",
    "Unlabelled",
    "VQAv2",
    "VizWiz",
    "Wavelet",
    "WithMasks",
    "Words",
    "augment",
    "decode",
    "evaluation_batches",
    "file_samples",
    "fingerprint",
    "list_folder",
    "prefetch",
]
