"""MobileNetV2: names, shapes and counts; its numbers are held to PyTorch in tests/weights/test_goldens.py."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from jaxlab.core import tree
from jaxlab.core.rng import initial_rngs
from jaxlab.core.types import EVALUATION, UserError
from jaxlab.models.mbconv import round_channels
from jaxlab.models.mobilenetv2 import MobileNetV2


def shapes_of(config, images):
    return jax.eval_shape(lambda x: config.build(images.shape[-1], initial_rngs(0))(x, EVALUATION), images)


def test_features_at_their_strides():
    shapes = {}

    def run(images):
        found = MobileNetV2(classes=7).build(3, initial_rngs(0))(images, EVALUATION)
        shapes.update({name: leaf.shape for name, leaf in found.items()})

    jax.eval_shape(run, jnp.zeros((2, 64, 96, 3)))
    assert list(shapes) == ["stem", *[f"block{k}" for k in range(17)], "head", "pool", "logits"]
    assert shapes["stem"] == (2, 32, 48, 32)
    assert shapes["block0"] == (2, 32, 48, 16)
    assert shapes["block2"] == (2, 16, 24, 24)
    assert shapes["block5"] == (2, 8, 12, 32)
    assert shapes["block9"] == (2, 4, 6, 64)
    assert shapes["block12"] == (2, 4, 6, 96)
    assert shapes["block15"] == (2, 2, 3, 160)
    assert shapes["block16"] == (2, 2, 3, 320)
    assert (shapes["head"], shapes["pool"], shapes["logits"]) == ((2, 2, 3, 1280), (2, 1280), (2, 7))


@pytest.mark.parametrize("size", [(1, 1), (17, 33)])
def test_any_image_size_and_grey_images(size):
    found = shapes_of(MobileNetV2(width=0.35), jnp.zeros((1, *size, 1)))
    assert found["pool"].shape == (1, 1280)
    assert "logits" not in found


@pytest.mark.parametrize(
    ("width", "parameters"),
    [
        (1.0, 3_504_872),
        pytest.param(0.35, 1_677_128, marks=pytest.mark.slow),
        pytest.param(0.5, 1_968_680, marks=pytest.mark.slow),
        pytest.param(0.75, 2_636_424, marks=pytest.mark.slow),
        pytest.param(1.4, 6_108_776, marks=pytest.mark.slow),
    ],
)
def test_parameters_are_as_many_as_timms(width, parameters):
    """timm's mobilenetv2_035 to _140; 1.0 is also torchvision's documented num_params."""
    module = nnx.eval_shape(lambda: MobileNetV2(width=width, classes=1000).build(3, initial_rngs(0)))
    assert tree.count(tree.flatten(nnx.state(module, nnx.Param))) == parameters


@pytest.mark.parametrize(
    ("channels", "rounded"), [(11.2, 16), (5.6, 8), (33.6, 32), (24 * 1.1, 24), (44.8, 48), (320, 320)]
)
def test_channels_are_rounded_to_eights_but_never_down_by_a_tenth(channels, rounded):
    """By hand: 11.2 would round to 8, which is less than 90% of it; 33.6 rounds to 32."""
    assert round_channels(channels) == rounded


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"width": 0.0}, r"MobileNetV2\.width: expected a factor above 0"),
        ({"convention": "same"}, r"MobileNetV2\.convention.*'same'"),
        ({"drop_path": -0.1}, r"MobileNetV2\.drop_path: expected a rate in \[0, 1\), found -0\.1"),
        ({"classes": -1}, r"MobileNetV2\.classes.*-1"),
    ],
)
def test_fields_that_make_no_network_are_refused(fields, words):
    with pytest.raises(UserError, match=words):
        MobileNetV2(**fields)
