"""ShuffleNetV2: names, shapes, counts; its numbers are held to torchvision in tests/weights/test_goldens.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxlab.core.rng import initial_rngs
from jaxlab.core.types import EVALUATION, UserError
from jaxlab.models.shufflenet import ShuffleNetV2


def shapes_of(config, images):
    """{feature: shape}, in order, which eval_shape does not keep."""
    shapes = {}

    def run(x):
        found = config.build(images.shape[-1], initial_rngs(0))(x, EVALUATION)
        shapes.update({name: leaf.shape for name, leaf in found.items()})

    jax.eval_shape(run, images)
    return shapes


@pytest.mark.parametrize(
    ("width", "channels", "blur"), [(0.5, (48, 96, 192), True), (1.0, (116, 232, 464), False)]
)
def test_features_at_their_strides(width, channels, blur):
    config = ShuffleNetV2(width=width, classes=7, blur=blur)
    found = shapes_of(config, jnp.zeros((2, 64, 96, 3)))
    assert list(found.items()) == [
        ("stem", (2, 32, 48, 24)),
        ("stage2", (2, 8, 12, channels[0])),
        ("stage3", (2, 4, 6, channels[1])),
        ("stage4", (2, 2, 3, channels[2])),
        ("conv5", (2, 2, 3, 1024)),
        ("pool", (2, 1024)),
        ("logits", (2, 7)),
    ]


@pytest.mark.parametrize("blur", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (17, 33), (112, 112)])
def test_any_image_size_and_grey_images(size, blur):
    found = shapes_of(ShuffleNetV2(blur=blur), jnp.zeros((1, *size, 1)))
    assert found["pool"] == (1, 1024)
    assert "logits" not in found


@pytest.mark.parametrize(("width", "parameters"), [(0.5, 1_366_792), (1.0, 2_278_604)])
def test_parameters_are_as_many_as_torchvisions(width, parameters):
    """torchvision's documented num_params with 1000 classes."""
    module = nnx.eval_shape(lambda: ShuffleNetV2(width=width, classes=1000).build(3, initial_rngs(0)))
    leaves = jax.tree.leaves(nnx.state(module, nnx.Param))
    assert sum(int(np.prod(leaf.shape)) for leaf in leaves) == parameters


def test_bfloat16_in_bfloat16_out():
    config = ShuffleNetV2(width=0.5, classes=3, blur=True)
    graphdef, params, stats = nnx.split(
        nnx.eval_shape(lambda: config.build(3, initial_rngs(0))), nnx.Param, nnx.BatchStat
    )
    low = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.bfloat16), params)
    features = jax.eval_shape(
        lambda params, stats, x: nnx.merge(graphdef, params, stats)(x, EVALUATION),
        low,
        stats,
        jnp.zeros((2, 32, 32, 3), jnp.bfloat16),
    )
    assert {leaf.dtype for leaf in features.values()} == {jnp.dtype("bfloat16")}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"width": 1.5}, r"ShuffleNetV2\.width: expected 0\.5 or 1\.0, found 1\.5"),
        ({"classes": -1}, r"ShuffleNetV2\.classes.*-1"),
        ({"width": "1.0x"}, r"ShuffleNetV2\.width.*1\.0x"),
    ],
)
def test_a_width_or_class_count_that_does_not_exist_is_refused(fields, words):
    with pytest.raises(UserError, match=words):
        ShuffleNetV2(**fields)
