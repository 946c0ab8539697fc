"""The Gaussian readout: sampling against scipy, positions against their distribution, on one device and on four."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.test_util import check_grads
from readouts import built, evaluated, features_of, names, shapes_of, training
from scipy.ndimage import map_coordinates

from jaxlab.core.rng import row_keys, step_key
from jaxlab.core.types import Mode, UserError
from jaxlab.heads import Gaussian, chunks
from jaxlab.heads.gaussian import GaussianPart, onto_map

FEATURES = features_of(3)
SPACE = ("first", "second")


@pytest.fixture(params=[2**20, 15], ids=["at once", "chunks"])
def limit(request, monkeypatch):
    monkeypatch.setattr(chunks, "CPU_LIMIT", request.param)


def sampled(part, x, positions):
    """(b, t): bilinear at (t, b, 2) positions, whose -1 and 1 are the outermost values' centres; then weighted."""
    x, weight = np.asarray(x, np.float64), np.asarray(part.weight[...], np.float64)
    found = np.zeros((len(x), len(weight)))
    for t in range(len(weight)):
        for b in range(len(x)):
            at = (np.asarray(positions[t, b], np.float64) + 1) / 2 * (np.array(x.shape[1:3]) - 1)
            values = [map_coordinates(x[b, ..., c], at[:, None], order=1)[0] for c in range(x.shape[-1])]
            found[b, t] = weight[t] @ np.array(values)
    return found


@pytest.mark.parametrize("layer", [*SPACE, SPACE])
def test_evaluation_reads_the_map_at_the_mean(layer, limit):
    module = built(Gaussian(layer=layer, normalize=False), targets=5)
    expected = np.asarray(module.bias[...])[None]
    for name in (layer,) if isinstance(layer, str) else layer:
        mu = np.clip(np.asarray(module.layers[name].mu[...]), -1, 1)
        assert (np.abs(mu) == 1).any(), "a position beyond the map"
        expected = expected + sampled(module.layers[name], FEATURES[name], np.repeat(mu[:, None], 3, 1))
    np.testing.assert_allclose(evaluated(module, FEATURES), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("covariance", ["full", "isotropic"])
def test_training_reads_each_image_at_the_position_drawn_for_it(covariance, limit):
    module = built(Gaussian(layer="first", normalize=False, covariance=covariance), targets=5)
    part, mode = module.layers["first"], training(3)
    positions = np.asarray(part.positions(3, mode))
    assert positions.shape == (5, 3, 2)
    assert np.abs(positions).max() == 1
    expected = sampled(part, FEATURES["first"], positions)
    np.testing.assert_allclose(evaluated(part, FEATURES["first"], mode), expected, rtol=1e-4, atol=1e-5)
    assert not np.allclose(positions, part.positions(3, training(3, step=1)))


@pytest.mark.parametrize("height", [1, 2])
def test_a_map_of_one_row_is_read_between_its_columns(height):
    shapes = {"x": (height, 3, 2)}
    module = built(Gaussian(normalize=False), targets=4, shapes=shapes)
    x = features_of(2, shapes)["x"]
    mu = np.clip(np.asarray(module.layers["x"].mu[...]), -1, 1)
    expected = sampled(module.layers["x"], x, np.repeat(mu[:, None], 2, 1)) + np.asarray(module.bias[...])
    np.testing.assert_allclose(evaluated(module, {"x": x}), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_gradients_of_positions_spread_weights_and_features(limit):
    """Small spreads about positions well inside the cells of the map, so that differences cross no edge."""
    module = built(Gaussian(layer="first", normalize=False), targets=4)
    part = module.layers["first"]
    part.mu[...] = jnp.asarray([[-0.67, 0.3], [0.0, 0.3], [0.67, -0.3], [0.0, 0.75]])
    part.sigma[...] *= 0.01
    graphdef, params = nnx.split(module)
    weights = jnp.asarray(np.random.default_rng(1).normal(size=(3, 4)), jnp.float32)

    def loss(params, x):
        return jnp.sum(weights * nnx.merge(graphdef, params)({"first": x}, training(3)))

    check_grads(
        jax.jit(loss), (params, FEATURES["first"]), order=1, modes=["rev"], eps=1e-3, rtol=2e-3, atol=2e-2
    )


@pytest.mark.parametrize("covariance", ["full", "isotropic"])
def test_positions_are_drawn_from_the_targets_gaussian(covariance):
    rows = 20_000
    module = built(Gaussian(layer="first", covariance=covariance), targets=2)
    part = module.layers["first"]
    part.mu[...] = jnp.asarray([[0.1, -0.2], [-0.3, 0.0]])
    root = np.array([[[0.1, 0.05], [0.0, 0.15]], [[0.05, 0.0], [0.1, 0.02]]], np.float32)
    part.sigma[...] = jnp.asarray(root if covariance == "full" else [[0.1], [0.2]])
    positions = np.asarray(part.positions(rows, training(rows)), np.float64)
    for t in range(2):
        expected = root[t] @ root[t].T if covariance == "full" else np.eye(2) * (0.1, 0.2)[t] ** 2
        error = np.sqrt(np.diag(expected) / rows)
        assert np.all(np.abs(positions[t].mean(0) - np.asarray(part.mu[...])[t]) < 4 * error)
        np.testing.assert_allclose(np.cov(positions[t].T), expected, atol=5e-4 + 0.04 * expected.max())


def test_a_row_draws_the_same_on_one_device_and_on_four():
    module = built(Gaussian(layer="first"), targets=3)
    part = module.layers["first"]

    def drawn(axis_name, rows):
        keys = row_keys(step_key(0, 5), rows, axis_name)
        return part.positions(rows, Mode(train=True, row_keys=keys, axis_name=axis_name))

    four = jax.pmap(lambda _: drawn("batch", 2), "batch", out_axes=1)(jnp.arange(4))  # (t, device, 2, 2)
    np.testing.assert_allclose(np.asarray(four).reshape(3, 8, 2), drawn(None, 8), rtol=1e-6)


def test_a_mean_beyond_the_map_is_led_back_but_never_further():
    slopes = jax.grad(lambda mu: jnp.sum(onto_map(mu) * jnp.asarray([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])))
    found = slopes(jnp.asarray([1.5, 1.5, -1.5, -1.5, 0.5, 0.5]))
    np.testing.assert_array_equal(found, [1, 0, 0, -1, 1, -1])


def test_it_starts_as_the_reference():
    """neuralpredictors' FullGaussian2d: means in +-0.1, roots of the covariance in +-1, weights 1 / channels."""
    parts = {
        kind: GaussianPart(Gaussian(covariance=kind), (5, 5, 8), 2000, nnx.Rngs(0))
        for kind in ("full", "isotropic")
    }
    for part in parts.values():
        mu = np.asarray(part.mu[...])
        assert 0.099 < mu.max() <= 0.1
        assert -0.1 <= mu.min() < -0.099
        np.testing.assert_array_equal(part.weight[...], np.full((2000, 8), 1 / 8))
    root = np.asarray(parts["full"].sigma[...])
    assert 0.99 < root.max() <= 1
    assert -1 <= root.min() < -0.99
    np.testing.assert_array_equal(parts["isotropic"].sigma[...], np.ones((2000, 1)))


def test_penalty_is_the_l1_norm_of_the_weights_averaged_over_targets():
    module = built(Gaussian(layer=SPACE, l1=0.5), targets=5)
    norms = [np.abs(np.asarray(module.layers[k].weight[...])).sum() / 5 for k in SPACE]
    assert float(module.penalty()) == pytest.approx(0.5 * sum(norms), rel=1e-5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"l1": -1.0}, r"Gaussian\.l1: expected 0 or more, found -1"),
        ({"init_mu_range": 1.5}, r"Gaussian\.init_mu_range: expected 0 to 1, found 1\.5"),
        ({"init_sigma": 0.0}, r"Gaussian\.init_sigma: expected more than 0, found 0"),
        ({"covariance": "round"}, r"Gaussian\.covariance: expected Literal\['full', 'isotropic'\]"),
    ],
)
def test_wrong_fields_are_named(fields, message):
    with pytest.raises(UserError, match=message):
        Gaussian(**fields)
    with pytest.raises(UserError, match=r"Gaussian\.layer: expected layers with height and width"):
        Gaussian().build(shapes_of(), names(5), nnx.Rngs(0))
