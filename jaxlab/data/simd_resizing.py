"""Images resized by cykooz-resizer (the Rust crate fast_image_resize), several times as fast as by Pillow."""

import numpy as np
from PIL import Image

from jaxlab.core.types import UserError

Box = tuple[float, ...]  # left, top, right, bottom, in pixels of the image
_FILTERS = {"area": "box", "bilinear": "bilinear", "bicubic": "catmull_rom", "lanczos": "lanczos3"}


def check_simd() -> None:
    """Raises UserError where the package is not installed, does not load, or is too old."""
    try:
        from cykooz_resizer import CropBox, FilterType, ResizeAlg, ResizeOptions, Resizer  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"images.resizing='fast' needs cykooz-resizer: pip install 'jaxlab[fast]' ({error})"
        ) from None


def by_simd(image: Image.Image, size: tuple[int, int], filter_name: str, box: Box | None) -> np.ndarray:
    """An image of 8 bits in one channel or three, as an array of `size`; other threads run meanwhile.

    filter_name: area, bilinear, bicubic or lanczos, as Pillow defines them.
    """
    from cykooz_resizer import CropBox, FilterType, ResizeAlg, ResizeOptions, Resizer

    crop = None if box is None else CropBox(box[0], box[1], box[2] - box[0], box[3] - box[1])
    how = ResizeAlg.convolution(FilterType[_FILTERS[filter_name]])
    made = Image.new(image.mode, size[::-1])
    Resizer().resize_pil(image, made, ResizeOptions(how, crop_box=crop))
    return np.asarray(made)
