"""ResNet: names, shapes, counts and training; its numbers are held to PyTorch in tests/weights/test_goldens.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from reference import shapes

from jaxlab.core import tree
from jaxlab.core.rng import initial_rngs
from jaxlab.core.types import EVALUATION, Mode, UserError
from jaxlab.models.resnet import BasicBlock, ResNet


def shapes_of(config, images, mode=EVALUATION):
    return jax.eval_shape(lambda x: config.build(images.shape[-1], initial_rngs(0))(x, mode), images)


@pytest.mark.parametrize(
    ("depth", "width", "blur"), [(18, 512, True), (34, 512, False), (50, 2048, False), (101, 2048, True)]
)
def test_features_at_their_strides(depth, width, blur):
    found = shapes_of(ResNet(depth=depth, classes=7, blur=blur), jnp.zeros((2, 64, 96, 3)))
    expansion = width // 512
    assert {name: leaf.shape for name, leaf in found.items()} == {
        "stem": (2, 32, 48, 64),
        "layer1": (2, 16, 24, 64 * expansion),
        "layer2": (2, 8, 12, 128 * expansion),
        "layer3": (2, 4, 6, 256 * expansion),
        "layer4": (2, 2, 3, width),
        "pool": (2, width),
        "logits": (2, 7),
    }


@pytest.mark.parametrize("blur", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (17, 33), (112, 112)])
def test_any_image_size_and_grey_images(size, blur):
    found = shapes_of(ResNet(blur=blur), jnp.zeros((1, *size, 1)))
    assert found["pool"].shape == (1, 512)
    assert "logits" not in found


PARAMETERS = [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032), (101, 44_549_160)]


@pytest.mark.parametrize(("depth", "parameters"), PARAMETERS)
def test_parameters_are_as_many_as_torchvisions(depth, parameters):
    """torchvision's documented num_params with 1000 classes."""
    module = nnx.eval_shape(lambda: ResNet(depth=depth, classes=1000).build(3, initial_rngs(0)))
    assert (
        sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(nnx.state(module, nnx.Param))) == parameters
    )


def test_bfloat16_in_bfloat16_out():
    config = ResNet(depth=50, classes=3)
    graphdef, params, stats = nnx.split(
        nnx.eval_shape(lambda: config.build(3, initial_rngs(0))), nnx.Param, nnx.BatchStat
    )
    low = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.bfloat16), params)

    def run(params, stats, images, mode):
        module = nnx.merge(graphdef, params, stats, copy=True)
        return module(images, mode), nnx.state(module, nnx.BatchStat)

    for train in (False, True):
        images = jnp.zeros((2, 32, 32, 3), jnp.bfloat16)
        features, new = jax.eval_shape(
            lambda p, s, x, t=train: run(p, s, x, Mode(train=t)), low, stats, images
        )
        assert {leaf.dtype for leaf in features.values()} == {jnp.dtype("bfloat16")}
        assert {leaf.dtype for leaf in jax.tree.leaves(new)} == {jnp.dtype("float32")}


def test_a_depth_or_class_count_that_does_not_exist_is_refused():
    with pytest.raises(UserError, match=r"ResNet\.depth.*19"):
        ResNet(depth=19)
    with pytest.raises(UserError, match=r"ResNet\.classes.*-1"):
        ResNet(classes=-1)
    with pytest.raises(UserError, match=r"ResNet\.drop_path.*1\.0"):
        ResNet(drop_path=1.0)


def test_stochastic_depth_grows_with_the_blocks():
    """timm's rule: rate * block / (blocks - 1)."""
    module = nnx.eval_shape(lambda: ResNet(depth=50, drop_path=0.3).build(3, initial_rngs(0)))
    paths = [block.path for number in range(1, 5) for block in getattr(module, f"layer{number}")]
    assert paths == [(k, pytest.approx(0.3 * k / 15)) for k in range(16)]


@pytest.mark.slow
def test_a_dropped_block_is_its_shortcut():
    block = BasicBlock(4, 4, 1, False, (0, 0.5), initial_rngs(0))
    x = jax.random.uniform(jax.random.key(0), (8, 3, 3, 4))
    mode = Mode(train=True, row_keys=jax.random.split(jax.random.key(1), 8))
    branch = block.branch(x, mode)
    y = block(x, mode)
    dropped = np.array([np.array_equal(a, b) for a, b in zip(y, x, strict=True)])
    assert 0 < dropped.sum() < 8
    np.testing.assert_allclose(y[~dropped], jax.nn.relu(x + 2 * branch)[~dropped], rtol=1e-6)


@pytest.mark.slow
def test_training_moves_every_statistic_and_reaches_every_parameter():
    graphdef, *states = shapes.split(ResNet())
    params, stats = map(shapes.drawn, states)

    @jax.jit
    def step(params, stats, images):
        def loss(params):
            module = nnx.merge(graphdef, params, stats, copy=True)
            features = module(images, Mode(train=True))
            return jnp.square(features["pool"] - 1).mean(), nnx.state(module, nnx.BatchStat)

        return jax.grad(loss, has_aux=True)(params)

    images = jax.random.normal(jax.random.key(0), (4, 40, 40, 3))
    slopes, new = step(params, stats, images)
    for path, slope in tree.flatten(slopes).items():
        assert np.abs(slope).max() > 0, path
    old = tree.flatten(stats)
    for path, value in tree.flatten(new).items():
        assert not np.array_equal(value, old[path]), path
