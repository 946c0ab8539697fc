"""Images and responses: where they come from, how they are split, decoded, batched and augmented."""

from jaxlab.data.algonauts import Algonauts
from jaxlab.data.arrays import Arrays
from jaxlab.data.augment import (
    Augmentation,
    Blur,
    Brightness,
    Crop,
    Cutout,
    Flip,
    Normalize,
    Shift,
    augment,
)
from jaxlab.data.easyvqa import EasyVQA
from jaxlab.data.files import file_samples, list_folder
from jaxlab.data.folders import ImageFolders
from jaxlab.data.images import Images, decode
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
    "Batches",
    "Blur",
    "Brightness",
    "ColumnSplit",
    "Crop",
    "Cutout",
    "EasyVQA",
    "Flip",
    "GroupedSplit",
    "ImageFolders",
    "Images",
    "KFold",
    "KaggleOrSimulated",
    "KaggleTable",
    "Mnist",
    "Normalize",
    "Opened",
    "RandomSplit",
    "Sensorium",
    "Shift",
    "Simulated",
    "Source",
    "Split",
    "Tfds",
    "VQAv2",
    "augment",
    "decode",
    "evaluation_batches",
    "file_samples",
    "fingerprint",
    "list_folder",
    "prefetch",
]
