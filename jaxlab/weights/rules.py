"""Rules that every family's layouts are made of: PyTorch's names and orientations to ours."""

import numpy as np

from jaxlab.weights.match import Rule, Skip

COUNTERS = Skip(r".*\.num_batches_tracked", "counters of PyTorch's batch norm")
NORM = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "var"}
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}


def conv(pattern: str, target: str, *, bias: bool = False) -> tuple[Rule, ...]:
    """A convolution, (out, in / groups, h, w) -> (h, w, in / groups, out), and its bias where it has one."""
    kernel = Rule(rf"{pattern}\.weight", f"{target}.kernel", lambda array: np.transpose(array, (2, 3, 1, 0)))
    return (kernel, Rule(rf"{pattern}\.bias", f"{target}.bias")) if bias else (kernel,)


def norm(pattern: str, target: str) -> tuple[Rule, ...]:
    """A batch norm with its running statistics."""
    return tuple(Rule(rf"{pattern}\.{theirs}", f"{target}.{ours}") for theirs, ours in NORM.items())


def layer_norm(pattern: str, target: str) -> tuple[Rule, ...]:
    """A layer norm: scale and bias."""
    return Rule(rf"{pattern}\.weight", f"{target}.scale"), Rule(rf"{pattern}\.bias", f"{target}.bias")


def linear(pattern: str, target: str) -> tuple[Rule, ...]:
    """A linear layer with a bias, (out, in) -> (in, out)."""
    kernel = Rule(rf"{pattern}\.weight", f"{target}.kernel", np.transpose)
    return kernel, Rule(rf"{pattern}\.bias", f"{target}.bias")


def classifier(pattern: str, target: str, classes: int) -> tuple[tuple[Rule, ...], tuple[Skip, ...]]:
    """The last linear layer: loaded into a model that has `classes` of them, else skipped."""
    if classes:
        return linear(pattern, target), ()
    return (), (Skip(rf"{pattern}\.(weight|bias)", "the file's classifier"),)
