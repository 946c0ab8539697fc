"""Every readout learns what was planted for it, in a few hundred steps on smooth random maps."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from readouts import evaluated, names, shapes_of
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.special import softmax

from jaxlab.core.rng import row_keys, step_key
from jaxlab.core.types import Mode
from jaxlab.heads import (
    ROI,
    Attention,
    Factorized,
    Gaussian,
    Linear,
    LowRank,
    PerROI,
    RetinaMap,
    Squashed,
    Sum,
)

SHAPES = {"map": (8, 8, 3), "flat": (6,)}
ROWS, TARGETS, BATCH = 1536, 4, 128
RNG = np.random.default_rng(0)
FEATURES = {
    "map": 50 * gaussian_filter(RNG.normal(size=(ROWS, 8, 8, 3)), (0, 1, 1, 0)) + 20,
    "flat": RNG.normal(size=(ROWS, 6)),
}
PLACES = RNG.uniform(-0.8, 0.8, (TARGETS, 2))  # (y, x), -1 and 1 the outermost values' centres


def planted(kind):
    """(n, t) standardised targets: a sum of channels at a place or where one of them is largest, or a linear function
    of the flat layer."""
    rng = np.random.default_rng(1)
    if kind == "linear":
        y = FEATURES["flat"] @ rng.normal(size=(6, 2)) @ rng.normal(size=(2, TARGETS))
    elif kind == "content":
        maps = (FEATURES["map"] - FEATURES["map"].mean((0, 1, 2))) / FEATURES["map"].std((0, 1, 2))
        maps = maps.reshape(ROWS, 64, 3)
        shares = softmax(3 * maps[..., [0, 1, 2, 0]], axis=1)
        y = np.einsum("npt,npt->nt", shares, maps[..., [1, 2, 0, 2]])
    else:
        weights, y = rng.choice([-1.0, 1.0], (TARGETS, 3)), np.zeros((ROWS, TARGETS))
        for t, place in enumerate((PLACES + 1) / 2 * 7):
            for n in range(ROWS):
                maps = FEATURES["map"][n]
                at = [map_coordinates(maps[..., c], place[:, None], order=1)[0] for c in range(3)]
                y[n, t] = weights[t] @ np.array(at)
    return jnp.asarray((y - y.mean(0)) / y.std(0), jnp.float32)


def learned(head, truth, steps=600, lr=0.02):
    """The head's module after `steps` of Adam on the first two thirds, without the last third."""
    features = {name: jnp.asarray(x, jnp.float32) for name, x in FEATURES.items()}
    module = jax.jit(lambda: head.build(shapes_of(SHAPES), names(TARGETS), nnx.Rngs(0)))()
    graphdef, params, stats = nnx.split(module, nnx.Param, nnx.BatchStat)
    optimizer = optax.adam(optax.cosine_decay_schedule(lr, steps))

    def step(carry, number):
        params, stats, state = carry
        rows = number * BATCH % 1024 + jnp.arange(BATCH)

        def loss(params):
            module = nnx.merge(graphdef, params, stats, copy=True)
            mode = Mode(train=True, row_keys=row_keys(step_key(0, number), BATCH))
            outputs = module({name: x[rows] for name, x in features.items()}, mode)
            error = jnp.mean(jnp.square(outputs - head.encode(truth[rows])))
            return error + module.penalty(), nnx.state(module, nnx.BatchStat)

        grads, stats = jax.grad(loss, has_aux=True)(params)
        updates, state = optimizer.update(grads, state)
        return (optax.apply_updates(params, updates), stats, state), None

    carry = (params, stats, optimizer.init(params))
    (params, stats, _), _ = jax.jit(lambda c: jax.lax.scan(step, c, jnp.arange(steps)))(carry)
    return nnx.merge(graphdef, params, stats)


def correlations(head, module, truth):
    """Pearson r of each target on the third that was not learned from."""
    held = {name: jnp.asarray(x[1024:], jnp.float32) for name, x in FEATURES.items()}
    found = np.asarray(head.decode(jnp.asarray(evaluated(module, held))))
    return [np.corrcoef(found[:, t], np.asarray(truth)[1024:, t])[0, 1] for t in range(TARGETS)]


HEADS = {
    "linear": (Linear(layer="flat"), "linear"),
    "low rank": (LowRank(layer="flat", rank=2), "linear"),
    "two layers": (Linear(layer=("map", "flat"), normalize=True), "linear"),
    "squashed": (Squashed(head=Linear(layer="flat"), scale=2.0), "linear"),
    "factorized": (Factorized(layer="map", l1_mask=1e-4, l1_weight=1e-4), "place"),
    "gaussian": (Gaussian(layer="map"), "place"),
    "isotropic": (Gaussian(layer="map", covariance="isotropic"), "place"),
    "retina map": (RetinaMap(layer=("map", "flat"), width=8, noise=0.1), "place"),
    "attention": (Attention(layer="map", width=16, heads=1), "content"),
    "rois": (
        PerROI(
            parts=(
                ROI(name="a", targets="n[02]", head=Linear(layer="map", normalize=True)),
                ROI(name="b", targets="n[13]", head=Factorized(layer="map")),
            )
        ),
        "place",
    ),
    "sum": (Sum(heads=(Linear(layer="flat"), Gaussian(layer="map"))), "place"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("head", "kind"), HEADS.values(), ids=HEADS)
def test_a_readout_learns_what_was_planted(head, kind):
    truth = planted(kind)
    module = learned(head, truth)
    assert min(correlations(head, module, truth)) > 0.97
    if isinstance(head, Gaussian):
        found = np.asarray(module.layers["map"].mu[...])
        assert np.abs(found - PLACES).max() < 0.1, "a third of the distance between two values of the map"
