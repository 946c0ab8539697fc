"""How images were prepared for pretrained weights, from the JSON files beside them."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from jaxlab.core.types import UserError
from jaxlab.data.device.augment import Normalize
from jaxlab.data.images import Images
from jaxlab.data.resizing import FILTERS

PILLOW = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}


def preprocessing(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """{"mean", "std", "interpolation", "crop_fraction", "size"} as far as stated; {} where nothing is.

    metadata: {file name: content}: timm's config.json with a `pretrained_cfg`, or transformers'
        preprocessor_config.json. mean and std refer to intensities in [0, 1], red, green, blue.
    """
    timm = metadata.get("config.json", {}).get("pretrained_cfg", {})
    transformers = metadata.get("preprocessor_config.json", {})
    size, crop_fraction = _size_and_crop(transformers)
    found = {
        "mean": timm.get("mean", transformers.get("image_mean")),
        "std": timm.get("std", _std(transformers)),
        "interpolation": timm.get("interpolation", PILLOW.get(transformers.get("resample", -1))),
        "crop_fraction": timm.get("crop_pct", crop_fraction),
        "size": timm["input_size"][-1] if "input_size" in timm else size,
    }
    return {name: value for name, value in found.items() if value is not None}


def _std(transformers: Mapping[str, Any]) -> Any:
    """EfficientNet's processor with `include_top` divides by image_std a second time."""
    std = transformers.get("image_std")
    return [value**2 for value in std] if std and transformers.get("include_top") else std


def _size_and_crop(transformers: Mapping[str, Any]) -> tuple[Any, Any]:
    """Side of the network's images, and the share of the shorter side that it is cut from."""
    resized, cropped = _side(transformers.get("size")), _side(transformers.get("crop_size"))
    if resized and cropped and transformers.get("do_center_crop", True) and cropped < resized:
        return cropped, cropped / resized
    return resized, transformers.get("crop_pct")


def _side(size: Any) -> Any:
    return size.get("shortest_edge", size.get("height")) if isinstance(size, dict) else size


def prepared(
    images: Images, normalize: Normalize | None, weights: Mapping[str, Any] | None
) -> tuple[Images, Normalize]:
    """What the two leave open of normalisation, filter and crop filled in as pretrained weights were prepared.

    weights: the record that `load_pretrained` makes.
    """
    found = (weights or {}).get("preprocessing") or {}
    if normalize is None and "mean" in found and "std" in found:
        normalize = Normalize(mean=tuple(found["mean"]), std=tuple(found["std"]))
    if images.filter is None and found.get("interpolation") in FILTERS:
        images = replace(images, filter=found["interpolation"])
    if images.policy == "crop" and images.crop_fraction is None and "crop_fraction" in found:
        images = replace(images, crop_fraction=float(found["crop_fraction"]))
    if images.policy == "crop" and images.crop_from is None and "crop_from" in found:
        images = replace(images, crop_from=found["crop_from"])
    if images.crop_from == "box":  # said of what is usual, so that it stands nowhere
        images = replace(images, crop_from=None)
    return images, normalize or Normalize()


def described(images: Images, normalize: Normalize) -> str:
    """How images are prepared, in the words of the config."""
    mean, std = (tuple(round(value, 4) for value in values) for values in (normalize.mean, normalize.std))
    cropped = f", centre {images.crop_fraction:g} of the shorter side" if images.crop_fraction else ""
    if images.crop_from is not None:
        cropped += ", cut from the resized image as timm does"
    return f"{images.filter or 'area'} resizing to {images.size}{cropped}, mean {mean}, std {std}"


def check_intensities(source: str, image: np.ndarray) -> None:
    """Raises UserError for floats that a normalisation meant for 0 to 1 would spoil, as it would a second time."""
    low, high = float(image.min()), float(image.max())
    if image.dtype.kind == "f" and not (low > -0.01 and high < 1.01):
        white = 2 ** math.ceil(math.log2(high + 1)) - 1 if low >= 0 and math.isfinite(high) else None
        camera = f" Of a camera say which level is white, as --set images.levels={white}." if white else ""
        raise UserError(
            f"{source}: the images are floats from {image.min():.3g} to {image.max():.3g}, where normalisation expects "
            f"0 to 1 (or uint8).{camera} If they are normalised already, say so: "
            "normalize=Normalize(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)) takes them as they are"
        )
