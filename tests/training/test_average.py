"""Averages of parameters, moving and over the tail: by hand, and to the last bit where a run goes on."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny import tiny, train, trained_run

import jaxlab
from jaxlab.core.config import to_json
from jaxlab.core.types import UserError
from jaxlab.experiment import Training
from jaxlab.optim import SGD, Groups
from jaxlab.training import journal
from jaxlab.training.budget import Budget
from jaxlab.training.checkpoint import saved
from jaxlab.training.state import TrainState
from jaxlab.training.update import Learning, _averaged


def averaged(ema, params, decay, step):
    """The average after update number `step`; of what is in `ema` alone nothing trains."""
    learning = Learning(
        0, tuple(params), frozenset(), Groups(SGD(), (), ()), lambda step: step, ema_decay=decay
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


def test_the_mean_over_the_tail_by_hand():
    """Before it, the last parameters to the bit; then the mean of those of every update."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(7, 3)).astype(np.float32)
    learning = Learning(0, ("p",), frozenset(), Groups(SGD(), (), ()), lambda step: step, average_from=3)
    ema = {"p": jnp.zeros(3), "frozen": jnp.ones(1)}
    for step, value in enumerate(values):
        state = TrainState(jnp.asarray(step), {}, {}, {}, (), ema, jnp.ones(()), {})
        ema = jax.jit(_averaged, static_argnums=0)(learning, state, {"p": jnp.asarray(value)})
        if step <= 3:
            np.testing.assert_array_equal(ema["p"], value)
        else:
            np.testing.assert_allclose(ema["p"], values[3 : step + 1].mean(0), rtol=1e-6)
    assert ema["frozen"] == 1.0


def test_one_average_at_a_time_and_over_a_part_of_the_run():
    with pytest.raises(UserError, match=r"expected ema or average_from, found both \(0\.9 and 0\.5\)"):
        Training(steps=8, ema=0.9, average_from=0.5)
    with pytest.raises(UserError, match=r"average_from: expected a share of the run in \[0, 1\), found 1\.0"):
        Training(steps=8, average_from=1.0)
    assert [Training(steps=1, average_from=share).first_averaged(10) for share in (0.0, 0.75, 0.99)] == [
        0,
        8,
        9,
    ]
    assert "average_from" not in to_json(Training(steps=1))


SETTINGS = ("training.ema=none", "training.average_from=0.5", "training.epochs=2", "limit=32")
EVERY = ("training.checkpoint_steps=1", "training.keep_every=1")


@pytest.fixture(scope="module")
def tail(arrays_npz, tmp_path_factory):
    """A run of eight updates, of which the last four are averaged, with a checkpoint of each."""
    return trained_run(arrays_npz, tmp_path_factory.mktemp("tail") / "run", *SETTINGS, *EVERY)


@pytest.mark.slow
def test_a_run_predicts_by_the_mean_with_the_statistics_that_it_has(tail):
    """The first convolution's outputs over all 32 training images, convolved otherwise, have its batch norm's mean."""
    each = {checkpoint.step: checkpoint.arrays() for checkpoint in saved(tail / "checkpoints")}
    kernel, last = "backbone.levels.0.conv.kernel", each[8]
    mean = np.mean([each[step]["params"][kernel] for step in (5, 6, 7, 8)], axis=0, dtype=np.float64)
    np.testing.assert_allclose(last["ema"][kernel], mean, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(each[4]["ema"][kernel], each[4]["params"][kernel])
    run = jaxlab.load(tail)
    images = run.recipe.input.prepare(np.stack([run.opened.train.read(k) for k in run.positions[0]]), None)
    outputs = jax.lax.conv_general_dilated(
        images, jnp.asarray(mean, jnp.float32), (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    norm = "backbone.levels.0.norm"
    np.testing.assert_allclose(last["stats"][f"{norm}.mean"], outputs.mean((0, 1, 2)), rtol=1e-4, atol=1e-5)
    scores = run.evaluate("last")["validation"]["loss"]
    assert scores == pytest.approx(journal.validations(tail / "metrics.jsonl")[8]["loss"], rel=1e-5)


@pytest.mark.slow
def test_a_run_stopped_in_its_tail_goes_on_to_the_same(arrays_npz, tail, tmp_path):
    """Without checkpoints in between, so that statistics were measured at other steps."""
    stopped = tmp_path / "run"

    def clock() -> float:
        """Its time is over after six updates."""
        return 1e6 if len(journal.read(stopped / "metrics.jsonl", "step")) >= 6 else 0.0

    train(tiny(arrays_npz, *SETTINGS), stopped, stop_after=Budget(1e5, clock))
    assert saved(stopped / "checkpoints")[-1].step in (6, 7)
    trained_run(arrays_npz, stopped, *SETTINGS)
    mine, theirs = (saved(run / "checkpoints")[-1].arrays() for run in (stopped, tail))
    for field in ("params", "ema", "stats"):
        for path, leaf in theirs[field].items():
            np.testing.assert_array_equal(mine[field][path], leaf, err_msg=f"{field}.{path}")
