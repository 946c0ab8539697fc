"""A small encoder with weights in a file, samples for it, and what its first layer makes of an image, by scipy."""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from scipy.signal import correlate

from jaxlab.core.types import Samples
from jaxlab.data import Images, Normalize
from jaxlab.encode import ImageEncoder
from jaxlab.models import LeNet5

SHAPES = {
    "conv1.weight": (6, 3, 5, 5), "conv1.bias": (6,), "conv2.weight": (16, 6, 5, 5), "conv2.bias": (16,),
    "fc1.weight": (120, 16), "fc1.bias": (120,), "fc2.weight": (84, 120), "fc2.bias": (84,),
}  # fmt: skip
NORMALIZE = Normalize(mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))


def weights(path: Path, seed: int = 0) -> Path:
    """A file for LeNet5(grid=1)."""
    rng = np.random.default_rng(seed)
    save_file({name: rng.normal(0, 0.2, shape).astype(np.float32) for name, shape in SHAPES.items()}, path)
    return path


def encoder(file: Path, *layers: str, **fields) -> ImageEncoder:
    model = LeNet5(grid=1, pretrained=str(file))
    settings = {"normalize": NORMALIZE, "images": Images(size=(16, 16)), **fields}
    return ImageEncoder(model=model, layers=layers, **settings)


def pixels(count: int = 50, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)


def samples(images: np.ndarray, **fields) -> Samples:
    return Samples(
        ids=np.array([f"s{k:03d}" for k in range(len(fields.get("image_of", images)))]),
        read=lambda k: images[k],
        checksum=lambda k: images[k].tobytes(),
        **fields,
    )


def level1(file: Path, image: np.ndarray) -> np.ndarray:
    """(6, 6, 6): convolution without padding, tanh, means of 2 x 2."""
    from safetensors.numpy import load_file

    arrays = load_file(file)
    x = (image / 255.0 - NORMALIZE.mean) / NORMALIZE.std
    kernels = arrays["conv1.weight"].transpose(0, 2, 3, 1)
    maps = [correlate(x, kernel, mode="valid")[..., 0] for kernel in kernels.astype(np.float64)]
    out = np.tanh(np.stack(maps, -1) + arrays["conv1.bias"])
    return out.reshape(6, 2, 6, 2, 6).mean((1, 3))
