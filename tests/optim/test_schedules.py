"""Learning rates against closed formulas, compiled as in the step."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlab.core.types import UserError
from jaxlab.optim import Constant, Cosine, Exponential, OneCycle, Plateau, Schedule, Step

PER_EPOCH, RUN = 10, 100


def short(value):
    """A test's name: the component's; a function would bring its address in."""
    return None if callable(value) else type(value).__name__


def rates(schedule: Schedule, count: int = RUN, lr: float = 0.5, run: int = RUN) -> np.ndarray:
    rate = schedule.build(lr, PER_EPOCH, run)
    return np.asarray(jax.jit(jax.vmap(rate))(jnp.arange(count)))


def half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1))) / 2


def one_cycle(k: int, length: int) -> float:
    """Smith & Topin 2018 with cosine annealing: 1/25 up to 1 over 30 %, then down to 1/25/1e4."""
    up = 0.3 * length
    if k < up:
        return half_cosine(1 / 25, 1.0, k / up)
    return half_cosine(1.0, 1 / 25 / 1e4, (k - up) / (length - up))


@pytest.mark.parametrize(
    ("schedule", "factor"),
    [
        (Constant(), lambda k: 1.0),
        (Plateau(), lambda k: 1.0),
        (Step(epochs=3, factor=0.5), lambda k: 0.5 ** (k // 30)),
        (Step(steps=7), lambda k: 0.1 ** (k // 7)),
        (Exponential(), lambda k: 0.1 ** (k / 100)),
        (Exponential(epochs=2, factor=0.5), lambda k: 0.5 ** (k / 20)),
        (Cosine(), lambda k: half_cosine(1.0, 0.0, k / 100)),
        (Cosine(epochs=4, final=0.1), lambda k: half_cosine(1.0, 0.1, k / 40)),
        (Cosine(steps=15), lambda k: half_cosine(1.0, 0.0, k / 15)),
        (OneCycle(), lambda k: one_cycle(k, 100)),
        (OneCycle(epochs=5), lambda k: one_cycle(min(k, 50), 50)),
    ],
    ids=short,
)
def test_each_schedule_is_its_formula(schedule, factor):
    expected = [0.5 * factor(k) for k in range(RUN)]
    np.testing.assert_allclose(rates(schedule), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("warm", [{"warmup_steps": 20}, {"warmup_epochs": 2.0}], ids=str)
@pytest.mark.parametrize(
    ("kind", "factor"),
    [(Constant, lambda k: 1.0), (Cosine, lambda k: half_cosine(1.0, 0.0, k / 80))],
)
def test_warm_up_rises_linearly_and_the_schedule_has_the_rest_of_the_run(warm, kind, factor):
    expected = [0.5 * (k + 1) / 20 if k < 20 else 0.5 * factor(k - 20) for k in range(RUN)]
    np.testing.assert_allclose(rates(kind(**warm)), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("length", [1, 41, 47, 55, 109])
def test_step_drops_at_its_own_update(length):
    """The lengths for which a float quotient, compiled, falls short of the whole number."""
    expected = [0.5] * length + [0.05] * length + [0.005]
    np.testing.assert_allclose(rates(Step(steps=length), 2 * length + 1), expected, rtol=1e-6)


@pytest.mark.parametrize("kind", [Cosine, Exponential, OneCycle, Constant])
@pytest.mark.parametrize("run", [1, 2, 3])
def test_shortest_runs_have_finite_rates(kind, run):
    assert np.isfinite(rates(kind(), run + 1, run=run)).all()
    assert np.isfinite(rates(kind(warmup_steps=5), run + 1, run=run)).all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Cosine(epochs=3, steps=5), "Cosine: expected epochs or steps, found both (3.0 and 5)"),
        (lambda: Step(), "Step: expected epochs= or steps= between two drops"),
        (lambda: Cosine(steps=0), "Cosine: expected a positive length, found 0"),
        (lambda: Constant(warmup_epochs=1.0, warmup_steps=1), "expected warmup_epochs or warmup_steps"),
        (lambda: Constant(warmup_steps=-1), "expected a warm-up of 0 or more"),
        (lambda: OneCycle(peak=1.5), "OneCycle.peak: expected a share"),
    ],
)
def test_contradictions_are_named(make, words):
    with pytest.raises(UserError) as refused:
        make()
    assert words in str(refused.value)
