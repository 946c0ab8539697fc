"""Weight files made of a golden's keys and shapes, as a user has them, and what loading one gives."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from jaxlab.core.tree import Flat
from jaxlab.models.base import Model
from jaxlab.weights import load_pretrained
from reference import seeded, shapes
from reference.networks import GOLDEN


def key_shapes(golden: str) -> dict[str, list[int]]:
    """Of the reference model's state dict."""
    with np.load(GOLDEN / f"{golden}.npz") as file:
        return json.loads(str(file["shapes"]))


def state_dict(golden: str) -> dict[str, np.ndarray]:
    return seeded.state_dict(key_shapes(golden))


def load(
    config: Model, folder: Path, source: dict[str, np.ndarray], *, channels: int = 3, further: int = 0
) -> tuple[Flat, Flat, dict[str, Any]]:
    """`load_pretrained` of `folder`, in which `source` is saved, for images of `channels`, of them `further` others."""
    save_file(source, folder / "model.safetensors")
    _, params, stats = shapes.split(config, channels)
    return load_pretrained(config, str(folder), shapes.flat(params), shapes.flat(stats), further)
