"""LeNet-5: shapes and counts; its numbers are held to PyTorch in tests/weights/test_goldens.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
from flax import nnx

from jaxlab.core.rng import initial_rngs
from jaxlab.core.types import EVALUATION, UserError
from jaxlab.models.lenet import LeNet5


def shapes_of(config, images):
    return jax.eval_shape(lambda x: config.build(images.shape[-1], initial_rngs(0))(x, EVALUATION), images)


@pytest.mark.parametrize(
    ("size", "half", "quarter"), [((32, 32), (14, 14), (5, 5)), ((63, 17), (29, 6), (12, 1))]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_features_of_any_size_grey_or_colour(size, half, quarter, channels):
    found = shapes_of(LeNet5(classes=10), jnp.zeros((2, *size, channels)))
    assert {name: leaf.shape for name, leaf in found.items()} == {
        "level1": (2, *half, 6),
        "level2": (2, *quarter, 16),
        "fc1": (2, 120),
        "fc2": (2, 84),
        "logits": (2, 10),
    }
    assert "logits" not in shapes_of(LeNet5(), jnp.zeros((2, *size, channels)))


@pytest.mark.parametrize(
    ("grid", "channels", "parameters"),
    [
        (
            5,
            1,
            61_706,
        ),  # 156 + 2416 + 48120 + 10164 + 850, the textbook's count with a full second convolution
        (
            12,
            3,
            61_706 + 2 * 150 + (2304 - 400) * 120,
        ),  # the lab notes': 2304 inputs of the first linear layer
    ],
)
def test_parameters_by_hand(grid, channels, parameters):
    module = nnx.eval_shape(lambda: LeNet5(grid=grid, classes=10).build(channels, initial_rngs(0)))
    leaves = jax.tree.leaves(nnx.state(module, nnx.Param))
    assert sum(int(np.prod(leaf.shape)) for leaf in leaves) == parameters


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"grid": 0}, r"LeNet5\.grid: .*found 0"), ({"classes": -2}, r"LeNet5\.classes: .*found -2")],
)
def test_fields_that_make_no_sense_are_refused(fields, words):
    with pytest.raises(UserError, match=words):
        LeNet5(**fields)


def test_blurred_pooling_by_scipy():
    """Means of 2 x 2 pixels give way to [1, 2, 1] / 4 along both axes at stride 2, edges reflected (Zhang 2019)."""
    module = LeNet5(blur=True, grid=2).build(1, initial_rngs(0))
    images = np.random.default_rng(0).normal(size=(2, 19, 22, 1)).astype(np.float32)
    kernel, bias = (np.asarray(leaf[...]) for leaf in (module.conv1.kernel, module.conv1.bias))
    found = jax.jit(lambda x: module(x, EVALUATION)["level1"])(images)
    for image, levels in zip(images, np.asarray(found), strict=True):
        maps = [
            scipy.signal.correlate2d(image[..., 0], kernel[..., 0, k], "valid") + bias[k] for k in range(6)
        ]
        expected = np.tanh(np.stack(maps, axis=-1))
        for axis in (0, 1):
            expected = scipy.ndimage.correlate1d(expected, [0.25, 0.5, 0.25], axis, mode="mirror")
        np.testing.assert_allclose(levels, expected[::2, ::2], atol=1e-5)
    assert shapes_of(LeNet5(blur=True), jnp.zeros((1, 63, 63, 3)))["level2"].shape == (1, 13, 13, 16)


def test_images_of_which_nothing_is_left_are_refused():
    assert shapes_of(LeNet5(), jnp.zeros((1, 16, 16, 1)))["level2"].shape == (1, 1, 1, 16)
    with pytest.raises(UserError, match=r"LeNet5: expected images of 16 x 16 pixels or more, found 40 x 15"):
        shapes_of(LeNet5(), jnp.zeros((1, 40, 15, 1)))
