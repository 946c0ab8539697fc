"""Networks beside their references: the cases that tools/golden.py made outputs for, and how far ours are off."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jax
import numpy as np
from flax import nnx
from safetensors.numpy import save_file

from jaxlab.core import tree
from jaxlab.core.types import EVALUATION
from jaxlab.models.base import Model
from jaxlab.weights import load_pretrained
from reference import seeded, shapes

GOLDEN = Path(__file__).parent / "goldens"
CLASSES = 50


@dataclass(frozen=True)
class Case:
    """A config with its classifier, the golden's name, the layout its keys are found to have, the images' shape."""

    config: Model
    golden: str
    layout: str
    images: tuple[int, int, int, int] = (2, 66, 50, 3)


@cache
def network(config: Model, channels: int):
    """Flat shapes of the parameters and statistics, and a compiled forward pass, shared by the layouts."""
    graphdef, params, stats = shapes.split(config, channels)

    @jax.jit
    def forward(flat_params, flat_stats, images):
        module = nnx.merge(graphdef, tree.unflatten(flat_params, params), tree.unflatten(flat_stats, stats))
        return module(images, EVALUATION)

    return shapes.flat(params), shapes.flat(stats), forward


def outputs(case: Case, folder: Path) -> tuple[dict, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The record of loading, and the values found and expected, by name; weights go through a file in `folder`."""
    golden = np.load(GOLDEN / f"{case.golden}.npz")
    params, stats, forward = network(case.config, case.images[-1])
    file = folder / "model.safetensors"
    gain = float(golden["gain"]) if "gain" in golden.files else 1.0
    save_file(seeded.state_dict(json.loads(str(golden["shapes"])), gain), file)
    params, stats, record = load_pretrained(case.config, str(file), params, stats)
    features = {n: np.asarray(v) for n, v in forward(params, stats, seeded.images(case.images)).items()}
    expected = {name: golden[name] for name in golden.files if name not in ("shapes", "gain")}
    found = {}
    for name in dict.fromkeys(name.partition(".")[0] for name in expected):
        if name == "logits":
            found[name] = features[name]
        else:
            found |= {f"{name}.{kind}": value for kind, value in seeded.summary(features[name]).items()}
    return record, found, expected
