"""How images were prepared for pretrained weights, from the JSON files beside them."""

from collections.abc import Mapping
from typing import Any

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
