"""Weights and images as pure functions of a name and a shape: the goldens' inputs, which need not be stored.

Drawn from PCG64's raw bits, which numpy promises never to change.
"""

import zlib

import numpy as np


def uniform(name: str, shape: tuple[int, ...], low: float, high: float) -> np.ndarray:
    """float32 values in [low, high), from the first 24 bits of each draw."""
    count = int(np.prod(shape))
    bits = np.random.PCG64(zlib.crc32(name.encode())).random_raw((count + 1) // 2).view(np.uint32)[:count]
    unit = (bits >> 8).astype(np.float32) * np.float32(2**-24)
    return (unit * np.float32(high - low) + np.float32(low)).reshape(shape)


def weight(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """The tensor of a PyTorch state dict. Kernels so small that 50 layers stay O(1), where each bias still shows."""
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if len(shape) == 3 and shape[0] == 1:  # embeddings of tokens and positions
        return uniform(key, shape, -1, 1)
    if len(shape) > 1:
        bound = float(np.sqrt(2 / np.prod(shape[1:])))
        return uniform(key, shape, -bound, bound)
    if key.endswith(("running_var", "weight")):
        return uniform(key, shape, 0.5, 1.5)
    return uniform(key, shape, -0.5, 0.5)


def state_dict(shapes: dict[str, tuple[int, ...]], gain: float = 1.0) -> dict[str, np.ndarray]:
    """All tensors of a state dict, with kernels times `gain`: above 1 where the image would die out on the way up."""
    found = {key: weight(key, tuple(shape)) for key, shape in shapes.items()}
    return {key: value * np.float32(gain) if value.ndim > 1 else value for key, value in found.items()}


def images(shape: tuple[int, ...]) -> np.ndarray:
    """(b, h, w, c) normalised images."""
    return uniform("images", shape, -2, 2)


def summary(features: np.ndarray) -> dict[str, np.ndarray]:
    """A few values of a feature (b, h, w, c) that any error shows in: means over space, and a strided slice.

    One that has no space, (b, c), is kept whole.
    """
    if features.ndim == 2:
        return {"whole": features}
    step = max(features.shape[-1] // 64, 1)
    side = max(features.shape[1] // 4, 1)
    return {"mean": features.mean((1, 2))[:, ::step], "slice": features[:, ::side, ::side, 1 :: 4 * step]}
