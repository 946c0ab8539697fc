"""Rules that every family's layouts are made of: PyTorch's names and orientations to ours."""

import numpy as np

from jaxlab.weights.match import KeyRule, KeySkip

COUNTERS = KeySkip(r".*\.num_batches_tracked", "counters of PyTorch's batch norm")
NORM = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "var"}
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def conv(pattern: str, target: str, *, bias: bool = False) -> tuple[KeyRule, ...]:
    """A convolution, (out, in / groups, h, w) -> (h, w, in / groups, out), and its bias where it has one."""
    kernel = KeyRule(
        rf"{pattern}\.weight", f"{target}.kernel", lambda array: np.transpose(array, (2, 3, 1, 0))
    )
    return (kernel, KeyRule(rf"{pattern}\.bias", f"{target}.bias")) if bias else (kernel,)


def norm(pattern: str, target: str) -> tuple[KeyRule, ...]:
    """A batch norm with its running statistics."""
    return tuple(KeyRule(rf"{pattern}\.{theirs}", f"{target}.{ours}") for theirs, ours in NORM.items())


def layer_norm(pattern: str, target: str) -> tuple[KeyRule, ...]:
    """A layer norm: scale and bias."""
    return KeyRule(rf"{pattern}\.weight", f"{target}.scale"), KeyRule(rf"{pattern}\.bias", f"{target}.bias")


def linear(pattern: str, target: str) -> tuple[KeyRule, ...]:
    """A linear layer with a bias, (out, in) -> (in, out)."""
    kernel = KeyRule(rf"{pattern}\.weight", f"{target}.kernel", np.transpose)
    return kernel, KeyRule(rf"{pattern}\.bias", f"{target}.bias")


def classifier(pattern: str, target: str, classes: int) -> tuple[tuple[KeyRule, ...], tuple[KeySkip, ...]]:
    """The last linear layer: loaded into a model that has `classes` of them, else skipped.

    So are layers of a projection in its place, which have numbers: MoCo has them.
    """
    if classes:
        return linear(pattern, target), ()
    layers = rf"{pattern}(\.\d+)*\.(weight|bias|running_mean|running_var)"
    return (), (KeySkip(layers, "the file's classifier"),)
