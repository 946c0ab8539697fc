"""Networks beside their references: the cases that tools/golden.py made outputs for, and how far ours are off."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import numpy as np
from flax import nnx

from jaxlab.core import tree
from jaxlab.core.types import EVALUATION
from jaxlab.models.base import Model
from jaxlab.nn import cpu
from reference import files, seeded, shapes

GOLDEN = files.GOLDEN
CLASSES = 50


@dataclass(frozen=True)
class Case:
    """A config with its classifier, the golden's name, the layout its keys are found to have, the images' shape."""

    config: Model
    golden: str
    layout: str
    images: tuple[int, int, int, int] = (2, 66, 50, 3)

    @property
    def gain(self) -> float:
        """Of the seeded kernels."""
        with np.load(GOLDEN / f"{self.golden}.npz") as golden:
            return float(golden["gain"]) if "gain" in golden.files else 1.0

    @property
    def expected(self) -> dict[str, np.ndarray]:
        """{feature.summary: values}, and the logits."""
        with np.load(GOLDEN / f"{self.golden}.npz") as golden:
            return {name: golden[name] for name in golden.files if name not in ("shapes", "gain")}


@cache
def forward(config: Model, channels: int) -> Any:
    """The compiled forward pass, shared by the layouts: flat parameters, flat statistics, images -> {name: feature}."""
    graphdef, params, stats = shapes.split(config, channels)

    @jax.jit
    def features(flat_params, flat_stats, images):
        module = nnx.merge(graphdef, tree.unflatten(flat_params, params), tree.unflatten(flat_stats, stats))
        return module(images, EVALUATION)

    return features


@cache
def feature_shapes(config: Model, images: tuple[int, int, int, int]) -> dict[str, jax.ShapeDtypeStruct]:
    """Of what the network makes of images of that shape, traced and not compiled."""
    graphdef, params, stats = shapes.split(config, images[-1])
    pixels = jax.ShapeDtypeStruct(images, np.float32)
    with cpu.switched(False):  # shorter to trace
        return jax.eval_shape(lambda p, s, x: nnx.merge(graphdef, p, s)(x, EVALUATION), params, stats, pixels)


def outputs(case: Case) -> tuple[dict, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The record of loading, and the values found and expected, by name."""
    source = seeded.state_dict(files.key_shapes(case.golden), case.gain)
    params, stats, record = files.load(case.config, source, channels=case.images[-1])
    features = forward(case.config, case.images[-1])(params, stats, seeded.images(case.images))
    return (
        record,
        summaries({name: np.asarray(value) for name, value in features.items()}, case),
        case.expected,
    )


def summaries(features: dict[str, np.ndarray], case: Case) -> dict[str, np.ndarray]:
    """Of those features that the golden has, under its names. Raises KeyError for one that the network has not."""
    found = {}
    for name in dict.fromkeys(name.partition(".")[0] for name in case.expected):
        if name == "logits":
            found[name] = features[name]
        else:
            found |= {f"{name}.{kind}": value for kind, value in seeded.summary(features[name]).items()}
    return found
