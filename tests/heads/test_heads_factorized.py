"""The factorized readout against loops in float64, in one go and in chunks of targets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.test_util import check_grads
from readouts import built, evaluated, features_of, names, shapes_of, training

from jaxlab.core.types import EVALUATION, UserError
from jaxlab.heads import Factorized, chunks

FEATURES = features_of(3)
SPACE = ("first", "second")  # 20 positions of 2 channels; 9 positions of 6 channels


@pytest.fixture(params=[2**20, 15], ids=["at once", "chunks"])
def limit(request, monkeypatch):
    monkeypatch.setattr(chunks, "CPU_LIMIT", request.param)


def expected_of(module, features, read):
    """y_t = b_t + sum_pc mask_tp x_pc weight_tc, written out."""
    expected = np.tile(np.asarray(module.bias[...], np.float64), (3, 1))
    for name in read:
        part, x = module.layers[name], np.asarray(features[name], np.float64)
        mask, weight = np.asarray(part.mask[...], np.float64), np.asarray(part.weight[...], np.float64)
        for t in range(expected.shape[1]):
            for y in range(x.shape[1]):
                for z in range(x.shape[2]):
                    expected[:, t] += mask[t, y, z] * (x[:, y, z] @ weight[t])
    return expected


@pytest.mark.parametrize("layer", [*SPACE, SPACE])
def test_outputs_are_the_papers_sum(layer, limit):
    module = built(Factorized(layer=layer, normalize=False), targets=5)
    expected = expected_of(module, FEATURES, (layer,) if isinstance(layer, str) else layer)
    np.testing.assert_allclose(evaluated(module, FEATURES), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("layer", SPACE)
def test_gradients_of_both_factors_and_of_the_features(layer, limit):
    graphdef, params = nnx.split(built(Factorized(layer=layer, normalize=False), targets=5))
    weights = jnp.asarray(np.random.default_rng(1).normal(size=(3, 5)), jnp.float32)

    def loss(params, x):
        return jnp.sum(weights * nnx.merge(graphdef, params)({layer: x}, EVALUATION))

    check_grads(
        jax.jit(loss), (params, FEATURES[layer]), order=1, modes=["rev"], eps=1e-2, rtol=1e-3, atol=1e-2
    )


def test_untrained_it_predicts_about_the_mean_and_both_factors_learn():
    shapes = {"x": (6, 6, 16)}
    module = jax.jit(lambda: Factorized().build(shapes_of(shapes), names(40), nnx.Rngs(0)))()
    graphdef, params, stats = nnx.split(module, nnx.Param, ...)
    features = {"x": 100 * features_of(64, shapes)["x"] + 30}
    truth = jnp.asarray(np.random.default_rng(0).normal(size=(64, 40)), jnp.float32)

    def loss(params):
        outputs = nnx.merge(graphdef, params, stats, copy=True)(features, training(64))
        return jnp.mean(jnp.square(outputs - truth)), outputs

    (_, outputs), grads = jax.jit(jax.value_and_grad(loss, has_aux=True))(params)
    assert 0 < float(jnp.abs(outputs).max()) < 0.05  # of targets of variance 1
    part = grads["layers"]["x"]
    for leaf in (part["mask"], part["weight"]):
        assert np.all(np.asarray(leaf[...]).reshape(40, -1).any(1))


def test_penalty_is_the_l1_norm_of_each_factor_averaged_over_targets():
    module = built(Factorized(layer=SPACE, l1_mask=0.5, l1_weight=2.0), targets=5)
    norms = [
        strength * sum(np.abs(np.asarray(getattr(module.layers[k], name)[...])).sum() for k in SPACE) / 5
        for name, strength in (("mask", 0.5), ("weight", 2.0))
    ]
    assert float(module.penalty()) == pytest.approx(sum(norms), rel=1e-5)
    assert float(built(Factorized(layer=SPACE)).penalty()) == 0


def test_layers_without_height_and_width_are_refused():
    message = r"Factorized\.layer: expected layers with height and width \(first, second\), found last \(7,\)"
    for layer in (None, "last", ("first", "last")):
        with pytest.raises(UserError, match=message):
            Factorized(layer=layer).build(shapes_of(), names(5), nnx.Rngs(0))
    with pytest.raises(UserError, match=r"Factorized\.l1_mask: expected 0 or more, found -1"):
        Factorized(l1_mask=-1.0)
