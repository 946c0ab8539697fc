"""EfficientNet: names, shapes and counts; its numbers are held to PyTorch in tests/weights/test_goldens.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxlab.core import tree
from jaxlab.core.rng import initial_rngs
from jaxlab.core.types import EVALUATION, UserError
from jaxlab.models.efficientnet import EfficientNet


def shapes_of(config, images):
    return jax.eval_shape(lambda x: config.build(images.shape[-1], initial_rngs(0))(x, EVALUATION), images)


def test_features_at_their_strides():
    shapes = {}

    def run(images):
        found = EfficientNet(classes=7).build(3, initial_rngs(0))(images, EVALUATION)
        shapes.update({name: leaf.shape for name, leaf in found.items()})

    jax.eval_shape(run, jnp.zeros((2, 64, 96, 3)))
    assert list(shapes) == ["stem", *[f"block{k}" for k in range(16)], "head", "pool", "logits"]
    assert shapes["stem"] == (2, 32, 48, 32)
    assert shapes["block0"] == (2, 32, 48, 16)
    assert shapes["block2"] == (2, 16, 24, 24)
    assert shapes["block4"] == (2, 8, 12, 40)
    assert shapes["block7"] == (2, 4, 6, 80)
    assert shapes["block10"] == (2, 4, 6, 112)
    assert shapes["block14"] == (2, 2, 3, 192)
    assert shapes["block15"] == (2, 2, 3, 320)
    assert (shapes["head"], shapes["pool"], shapes["logits"]) == ((2, 2, 3, 1280), (2, 1280), (2, 7))


@pytest.mark.parametrize("convention", ["pytorch", "tensorflow"])
@pytest.mark.parametrize("size", [(1, 1), (17, 33)])
def test_any_image_size_and_grey_images(size, convention):
    found = shapes_of(EfficientNet(variant="lite0", convention=convention), jnp.zeros((1, *size, 1)))
    assert found["pool"].shape == (1, 1280)
    assert "logits" not in found
    assert found["head"].shape[1:3] == (-(-size[0] // 32), -(-size[1] // 32))


@pytest.mark.parametrize(
    ("variant", "parameters", "blocks", "stem", "head"),
    [
        ("b0", 5_288_548, 16, 32, 1280),
        pytest.param("b1", 7_794_184, 23, 32, 1280, marks=pytest.mark.slow),
        pytest.param("b2", 9_109_994, 23, 32, 1408, marks=pytest.mark.slow),
        pytest.param("b3", 12_233_232, 26, 40, 1536, marks=pytest.mark.slow),
        pytest.param("b4", 19_341_616, 32, 48, 1792, marks=pytest.mark.slow),
        pytest.param("lite0", 4_652_008, 16, 32, 1280, marks=pytest.mark.slow),
        pytest.param("lite1", 5_416_680, 21, 32, 1280, marks=pytest.mark.slow),
        ("lite2", 6_092_072, 21, 32, 1280),
        pytest.param("lite3", 8_197_096, 24, 32, 1280, marks=pytest.mark.slow),
        pytest.param("lite4", 13_006_568, 30, 32, 1280, marks=pytest.mark.slow),
    ],
)
def test_sizes_are_the_references(variant, parameters, blocks, stem, head):
    """Parameters, blocks and channels of torchvision's efficientnet_b* and timm's efficientnet_lite*, 1000 classes."""
    config = EfficientNet(variant=variant, classes=1000)
    module = nnx.eval_shape(lambda: config.build(3, initial_rngs(0)))
    params = tree.flatten(nnx.state(module, nnx.Param))
    assert tree.count(params) == parameters
    assert len(module.blocks) == blocks
    assert (params["stem.conv.kernel"].shape[3], params["head.conv.kernel"].shape[3]) == (stem, head)


@pytest.mark.parametrize(("variant", "highest"), [("lite0", 6), ("b0", np.inf)])
def test_lite_is_capped_at_six(variant, highest):
    """ReLU6 against SiLU, which has no upper end."""
    config = EfficientNet(variant=variant)
    images = 100 * jax.random.normal(jax.random.key(0), (1, 8, 8, 3))
    stem = jax.jit(lambda x: config.build(3, initial_rngs(0)).stem(x, EVALUATION))(images)
    assert stem.max() == 6 if highest == 6 else stem.max() > 6


def test_stochastic_depth_rises_to_the_last_block():
    config = EfficientNet(drop_path=0.3)
    blocks = nnx.eval_shape(lambda: config.build(3, initial_rngs(0))).blocks
    np.testing.assert_allclose([block.drop_rate for block in blocks], np.linspace(0, 0.3, 16))
    assert [block.layer for block in blocks] == list(range(16))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"variant": "b9"}, r"EfficientNet\.variant.*'b9'"),
        ({"convention": "same"}, r"EfficientNet\.convention.*'same'"),
        ({"drop_path": 1.0}, r"EfficientNet\.drop_path: expected a rate in \[0, 1\), found 1\.0"),
        ({"classes": -1}, r"EfficientNet\.classes.*-1"),
    ],
)
def test_fields_that_make_no_network_are_refused(fields, words):
    with pytest.raises(UserError, match=words):
        EfficientNet(**fields)
