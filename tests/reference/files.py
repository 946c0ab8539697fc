"""Weights made of a golden's keys and shapes, and what loading them gives: as arrays, as if a file had been read."""

import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from jaxlab.core.tree import Flat
from jaxlab.models.base import Model
from jaxlab.weights import load_pretrained
from jaxlab.weights.read import Origin
from reference import seeded, shapes

GOLDEN = Path(__file__).parent / "goldens"


def key_shapes(golden: str) -> dict[str, list[int]]:
    """Of the reference model's state dict."""
    with np.load(GOLDEN / f"{golden}.npz") as file:
        return json.loads(str(file["shapes"]))


def state_dict(golden: str) -> dict[str, np.ndarray]:
    return seeded.state_dict(key_shapes(golden))


def load(
    config: Model,
    source: dict[str, np.ndarray],
    beside: dict[str, Any] | None = None,
    *,
    channels: int = 3,
    further: int = 0,
) -> tuple[Flat, Flat, dict[str, Any]]:
    """`load_pretrained` for images of `channels`, of them `further` others, where a file has the arrays of `source`.

    beside: {name: content} of the JSON files in its folder. Reading itself is in test_read; of a file that is read and
    loaded there is one golden, because to write and hash those of large networks takes longer than all else.
    """
    origin = Origin("arrays", Path("model.safetensors"), "0" * 64, None, beside or {})
    _, params, stats = shapes.split(config, channels)
    arrays = dict(sorted(source.items()))  # as a file of safetensors has them
    with patch("jaxlab.weights.load.read", return_value=(arrays, origin)):
        return load_pretrained(config, "arrays", shapes.flat(params), shapes.flat(stats), further)
