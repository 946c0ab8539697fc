"""Learning rates against closed formulas, compiled as in the step."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlab.core.config import to_json
from jaxlab.core.types import UserError
from jaxlab.optim import SGD, Adam, Constant, Cosine, Exponential, Groups, OneCycle, Plateau, Schedule, Step

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
    """Smith & Topin 2018 as torch has it: 1/25 up to 1 at update 30 % (from 1), then down to 1/25/1e4 at the last."""
    up = 0.3 * length - 1
    if k < up:
        return half_cosine(1 / 25, 1.0, k / up)
    return half_cosine(1.0, 1 / 25 / 1e4, (k - up) / (length - 1 - up))


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
        (lambda: OneCycle(momentum=(0.95, 0.85)), "OneCycle.momentum: expected the least and the largest"),
    ],
)
def test_contradictions_are_named(make, words):
    with pytest.raises(UserError) as refused:
        make()
    assert words in str(refused.value)


# -- one cycle as torch 2.13 has it: OneCycleLR(optimizer, 0.05, total_steps=20), of sum(p^2 * (1, 0.3)) from (1, -2)

TORCH_RATES = [
    0.002,
    0.006583592,
    0.01858359,
    0.03341641,
    0.04541641,
    0.05,
    0.0493732,
    0.04752423,
    0.04454581,
    0.04058728,
    0.03584715,
    0.0305631,
    0.0250001,
    0.0194371,
    0.01415305,
    0.009412917,
    0.005454391,
    0.002475968,
    0.0006269997,
    2e-07,
]
TORCH_MOMENTUM = [
    0.95,
    0.9404508,
    0.9154508,
    0.8845492,
    0.8595492,
    0.85,
    0.8512536,
    0.8549516,
    0.8609084,
    0.8688255,
    0.8783058,
    0.888874,
    0.9,
    0.911126,
    0.9216942,
    0.9311745,
    0.9390916,
    0.9450484,
    0.9487464,
    0.95,
]
TORCH_STEPS = {  # p after updates 1, 6, 13 and 20
    "sgd": (
        SGD(lr=0.05),
        [[0.996, -1.9976], [0.003106, -1.333594], [-0.524229, -0.105671], [-0.315499, 0.055398]],
    ),
    "nesterov": (
        SGD(lr=0.05, nesterov=True),
        [[0.9922, -1.99532], [-0.026881, -1.264155], [-0.349563, -0.111677], [-0.204108, 0.033932]],
    ),
    "adam": (
        Adam(lr=0.05),
        [[0.998, -1.998], [0.884388, -1.883866], [0.643834, -1.636649], [0.587635, -1.577511]],
    ),
}


def test_one_cycle_has_torchs_rates_and_momentum():
    np.testing.assert_allclose(rates(OneCycle(), 20, lr=0.05, run=20), TORCH_RATES, rtol=1e-4)
    momentum = OneCycle().build_momentum(PER_EPOCH, 20)
    np.testing.assert_allclose([momentum(k) for k in range(20)], TORCH_MOMENTUM, atol=1e-6)
    later = OneCycle(warmup_steps=5).build_momentum(PER_EPOCH, 25)
    np.testing.assert_allclose([later(k) for k in range(25)], [0.95] * 5 + TORCH_MOMENTUM, atol=1e-6)
    assert OneCycle(momentum=None).build_momentum(PER_EPOCH, 20) is None
    assert Cosine().build_momentum(PER_EPOCH, 20) is None


@pytest.mark.parametrize("name", TORCH_STEPS)
def test_one_cycle_moves_parameters_as_torch(name):
    optimizer, expected = TORCH_STEPS[name]
    schedule, groups = OneCycle(), Groups(optimizer, ({"p": 1.0},), ())
    rate, momentum = schedule.build(0.05, PER_EPOCH, 20), schedule.build_momentum(PER_EPOCH, 20)
    params = {"p": jnp.asarray([1.0, -2.0])}
    state, found = groups.init(params), []

    @jax.jit
    def update(params, state, k):
        gradient = {"p": 2 * params["p"] * jnp.asarray([1.0, 0.3])}
        return groups.update(gradient, state, params, rate(k), momentum(k))

    for k in range(20):
        params, state = update(params, state, jnp.asarray(k))
        found.append(np.asarray(params["p"]))
    np.testing.assert_allclose(np.array(found)[[0, 5, 12, 19]], expected, atol=2e-5)


def test_a_momentum_that_is_none_stays_none():
    optimizer = SGD(momentum=0.0)
    state = optimizer.build(()).init({"p": jnp.ones(2)})
    cycled = optimizer.build((), jnp.asarray(0.9))
    updates, _ = cycled.update({"p": jnp.ones(2)}, state, {"p": jnp.ones(2)})
    np.testing.assert_array_equal(updates["p"], np.ones(2))


def test_what_one_cycle_came_to_do_later_changes_no_config():
    assert "momentum" not in to_json(OneCycle())
    assert to_json(OneCycle(momentum=None))["momentum"] is None
