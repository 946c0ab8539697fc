"""Every ResNet in every layout against the outputs of torchvision, timm and transformers (tools/golden.py)."""

import json
from functools import cache
from pathlib import Path

import jax
import numpy as np
import pytest
import seeded
import shapes
from flax import nnx
from safetensors.numpy import save_file

from jaxlab import tree
from jaxlab.models.resnet import ResNet
from jaxlab.types import EVALUATION
from jaxlab.weights import load_pretrained

GOLDEN = Path(__file__).parents[1] / "golden"
IMAGES = (2, 66, 50, 3)
CLASSES = 50
TOLERANCE = 1e-5  # of the largest value of a feature; seen: 1.2e-6 at most


@cache
def network(depth: int):
    """The config, its flat shapes, and a compiled forward pass, shared by the layouts."""
    config = ResNet(depth=depth, classes=CLASSES)
    graphdef, params, stats = shapes.split(config)

    @jax.jit
    def forward(flat_params, flat_stats, images):
        module = nnx.merge(graphdef, tree.unflatten(flat_params, params), tree.unflatten(flat_stats, stats))
        return module(images, EVALUATION)

    return config, shapes.flat(params), shapes.flat(stats), forward


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["torchvision", "timm", "transformers"])
@pytest.mark.parametrize("depth", [18, 34, 50])
def test_features_and_logits_are_the_references(depth, layout, tmp_path):
    golden = np.load(GOLDEN / f"resnet{depth}_{layout}.npz")
    config, params, stats, forward = network(depth)
    save_file(seeded.state_dict(json.loads(str(golden["shapes"]))), tmp_path / "model.safetensors")
    params, stats, record = load_pretrained(config, str(tmp_path / "model.safetensors"), params, stats)
    assert record["layout"] == ("transformers" if layout == "transformers" else "torchvision/timm")
    features = {
        name: np.asarray(value) for name, value in forward(params, stats, seeded.images(IMAGES)).items()
    }
    found = {"logits": features["logits"]}
    for stage in ("stem", "layer1", "layer2", "layer3", "layer4"):
        found |= {f"{stage}.{kind}": value for kind, value in seeded.summary(features[stage]).items()}
    assert found.keys() == set(golden.files) - {"shapes"}
    for name, value in found.items():
        expected = golden[name]
        assert expected.std() > 0.01, "a reference that is constant shows nothing"
        np.testing.assert_allclose(
            value, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max(), err_msg=name
        )
