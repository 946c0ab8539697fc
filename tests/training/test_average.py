"""The moving average of parameters: by hand, and to the last bit what a run averaged that goes on from a checkpoint."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxlab.optim import SGD, Groups
from jaxlab.training.state import TrainState
from jaxlab.training.step import Learning, _averaged


def averaged(ema, params, decay, step):
    """The average after update number `step`; of what is in `ema` alone nothing trains."""
    learning = Learning(
        0, tuple(params), frozenset(), Groups(SGD(), (), ()), lambda step: step, 0, ema_decay=decay
    )
    state = TrainState(step, params, {}, {}, (), ema, jnp.ones(()), {})
    return _averaged(learning, state, params)


def test_by_hand():
    ema, values = {"p": jnp.array([2.0]), "frozen": jnp.array([7.0])}, [4.0, 0.0, 8.0]
    decays = [1 / 10, 2 / 11, 0.2]  # (1 + step) / (10 + step), at most 0.2
    expected = 2.0
    for step, (value, kept) in enumerate(zip(values, decays, strict=True)):
        ema = averaged(ema, {"p": jnp.array([value])}, 0.2, jnp.asarray(step))
        expected = kept * expected + (1 - kept) * value
        np.testing.assert_allclose(ema["p"], [expected], rtol=1e-6)
    assert ema["frozen"] == 7.0


def test_without_a_decay_there_is_none():
    assert averaged(None, {"p": jnp.ones(1)}, None, jnp.asarray(3)) is None


def difference_added(ema, params, kept):
    return jax.tree.map(lambda average, new: average + (1.0 - kept) * (new - average), ema, params)


def test_every_bit_is_that_of_the_difference_added_and_not_of_optax_incremental_update():
    """Checkpoints hold averages made so, and resuming equals never having stopped; optax's own rounds otherwise."""
    rng = np.random.default_rng(0)
    ema, params = ({"p": jnp.asarray(rng.normal(size=1000), jnp.float32)} for _ in range(2))
    step, decay = jnp.asarray(20), 0.5
    kept = jnp.minimum(decay, (1.0 + step) / (10.0 + step))
    for compiled in (False, True):
        jit = jax.jit if compiled else lambda function: function
        got = jit(lambda *trees: averaged(*trees, decay, step))(ema, params)["p"]
        np.testing.assert_array_equal(got, jit(difference_added)(ema, params, kept)["p"])
        others = jit(optax.incremental_update)(params, ema, 1.0 - kept)["p"]
        np.testing.assert_allclose(got, others, rtol=1e-4, atol=1e-6)
        assert (got != others).mean() > 0.1
