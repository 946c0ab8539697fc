"""Vision transformers: names, shapes, counts and training; their numbers are held in tests/weights/test_goldens.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from reference.shapes import drawn

from jaxlab.core import tree
from jaxlab.core.rng import initial_rngs
from jaxlab.core.types import EVALUATION, Mode, UserError
from jaxlab.models import DeiT, DINOv2, ViT, vit
from jaxlab.nn.attention import dot_product_attention


def features_of(config, images, mode=EVALUATION):
    """{feature: shape}, in order, which eval_shape does not keep."""
    order = []

    def run(x):
        found = config.build(images.shape[-1], initial_rngs(0))(x, mode)
        order.extend(found)
        return found

    shapes = jax.eval_shape(run, images)
    return {name: shapes[name].shape for name in order}


def test_features_in_order_of_a_vit():
    found = features_of(ViT(size="tiny", classes=7), jnp.zeros((2, 48, 64, 3)))
    maps = ["embed", *(f"block{k}" for k in range(12)), "map"]
    assert list(found) == [*maps, "pool", "cls", "logits"]
    assert {found[name] for name in maps} == {(2, 3, 4, 192)}
    assert (found["pool"], found["cls"], found["logits"]) == ((2, 192), (2, 192), (2, 7))


def test_features_in_order_of_the_others(monkeypatch):
    found = features_of(DeiT(size="small", distilled=True), jnp.zeros((1, 224, 224, 1)))
    assert list(found)[-4:] == ["map", "pool", "dist", "cls"]
    assert (found["map"], found["dist"]) == ((1, 14, 14, 384), (1, 384))
    monkeypatch.setattr(vit, "BLOCKS", 1)
    found = features_of(DINOv2(classes=3), jnp.zeros((1, 28, 42, 6)))
    assert (found["block0"], found["cls"], found["logits"]) == ((1, 2, 3, 384), (1, 384), (1, 3))


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (ViT(size="tiny", classes=1000), 5_717_416),
        (ViT(size="small", classes=1000), 22_050_664),
        (ViT(size="base", classes=1000), 86_567_656),
        (DeiT(size="tiny", distilled=True, classes=1000), 5_910_800),
        (DeiT(size="small", distilled=True, classes=1000), 22_436_432),
        (DeiT(size="base", distilled=True, classes=1000), 87_338_192),
        (DINOv2(size="small"), 22_056_192),
        (DINOv2(size="base"), 86_579_712),
    ],
    ids=lambda value: f"{type(value).__name__}-{value.size}" if not isinstance(value, int) else "",
)
def test_parameters_are_as_many_as_timms(config, parameters):
    """Counted in timm's vit_*_patch16_224, deit_*_distilled_patch16_224 and vit_*_patch14_dinov2."""
    module = nnx.eval_shape(lambda: config.build(3, initial_rngs(0)))
    assert tree.count(tree.flatten(nnx.state(module, nnx.Param))) == parameters


@pytest.mark.parametrize(
    ("config", "size", "words"),
    [
        (ViT(), (66, 64), r"^ViT: .* 16 pixels, found 66 x 64; .* to 64 x 64\b"),
        (DINOv2(), (28, 224 + 1), r"^DINOv2: .* 14 pixels, found 28 x 225; .* to 28 x 224\b"),
        (DeiT(), (8, 32), r"^DeiT: .* found 8 x 32; .* to 16 x 32\b"),
    ],
)
def test_images_that_patches_do_not_tile_are_refused(config, size, words, monkeypatch):
    monkeypatch.setattr(vit, "BLOCKS", 1)  # of 12, which only take time
    with pytest.raises(UserError, match=words):
        features_of(config, jnp.zeros((1, *size, 3)))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ViT(size="huge"), r"ViT\.size.*huge"),
        (lambda: DINOv2(size="tiny"), r"DINOv2\.size.*tiny"),
        (lambda: ViT(image_size=225), r"ViT\.image_size: expected a multiple of 16, found 225"),
        (lambda: DINOv2(image_size=224 + 16), r"DINOv2\.image_size: expected a multiple of 14, found 240"),
        (lambda: DeiT(classes=-1), r"DeiT\.classes.*-1"),
        (lambda: ViT(dropout=1.0), r"ViT\.dropout.*1\.0"),
        (lambda: ViT(drop_path=-0.1), r"ViT\.drop_path.*-0\.1"),
    ],
)
def test_fields_are_checked(make, words):
    with pytest.raises(UserError, match=words):
        make()


@pytest.mark.parametrize(("name", "sites"), [("dropout", 37), ("drop_path", 24)])
def test_every_site_that_drops_has_a_number_of_its_own(name, sites, monkeypatch):
    drawn = []

    def record(x, rate, mode, layer):
        drawn.append((layer, rate))
        return x

    monkeypatch.setattr(vit, name, record)
    features_of(ViT(size="tiny", drop_path=0.22, dropout=0.1), jnp.zeros((1, 16, 16, 3)))
    assert len({layer for layer, _ in drawn}) == len(drawn) == sites
    rates = sorted({round(rate, 6) for _, rate in drawn})
    assert rates == ([0.1] if name == "dropout" else [round(0.02 * k, 6) for k in range(12)])


def test_bfloat16_in_bfloat16_out(monkeypatch):
    monkeypatch.setattr(vit, "BLOCKS", 2)
    config = DINOv2(size="small", classes=3)
    graphdef, params = nnx.split(nnx.eval_shape(lambda: config.build(3, initial_rngs(0))), nnx.Param)
    low = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, jnp.bfloat16), params)
    images = jax.ShapeDtypeStruct((2, 28, 28, 3), jnp.bfloat16)
    features = jax.eval_shape(lambda p, x: nnx.merge(graphdef, p)(x, EVALUATION), low, images)
    assert {leaf.dtype for leaf in features.values()} == {jnp.dtype("bfloat16")}


def test_attention_in_bfloat16_sums_in_float32():
    """1025 equal weights: their sum in bfloat16 would stop at 256."""
    rng = np.random.default_rng(0)
    q, k = jnp.zeros((1, 2, 1, 4), jnp.bfloat16), jnp.zeros((1, 1025, 1, 4), jnp.bfloat16)
    v = jnp.asarray(rng.uniform(1, 2, (1, 1025, 1, 4)), jnp.bfloat16)
    wanted = np.asarray(v, np.float64).mean(1, keepdims=True).repeat(2, 1)
    np.testing.assert_allclose(np.asarray(dot_product_attention(q, k, v), np.float64), wanted, rtol=2**-8)


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        DeiT(size="tiny", image_size=32, distilled=True, classes=3),
        DINOv2(size="small", image_size=28, classes=3),
    ],
    ids=["deit", "dinov2"],
)
def test_training_reaches_every_parameter(config, monkeypatch):
    """Also the position embeddings, which are resized."""
    monkeypatch.setattr(vit, "BLOCKS", 2)  # of 12, which only take time
    graphdef, params = nnx.split(nnx.eval_shape(lambda: config.build(3, initial_rngs(0))), nnx.Param)
    params = drawn(params)
    images = jax.random.normal(jax.random.key(0), (4, 3 * config.patch, 2 * config.patch, 3))
    mode = Mode(train=True)

    @jax.jit
    def slopes(params):
        def loss(params):
            return jnp.square(nnx.merge(graphdef, params, copy=True)(images, mode)["logits"] - 1).mean()

        return jax.grad(loss)(params)

    for path, slope in tree.flatten(slopes(params)).items():
        assert np.abs(slope).max() > 0, path
