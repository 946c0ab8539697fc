"""Sharpness-aware minimisation against Foret et al. 2021, algorithm 1, in numpy: a linear network with statistics."""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlab.core.config import short_hash, to_json
from jaxlab.core.types import UserError
from jaxlab.objectives import Told
from jaxlab.optim import SGD, AdamW, Groups, Optimizer
from jaxlab.training.sharding import Layout
from jaxlab.training.state import TrainState
from jaxlab.training.step import Forward
from jaxlab.training.update import Learning, climbed, compiled, train_step

RATE, RADIUS, MOMENTUM = 0.1, 0.3, 0.9


class Goal(NamedTuple):
    name: str = "activity"


class Linear:
    """A program of outputs x w + b, squared error and the mean of b, whose statistics count the passes."""

    objectives = (Goal(),)
    pretext = None

    def prepare(self, images, keys):
        return images

    def apply(self, variables, images, mode, frozen_norms, ranges):
        assert isinstance(mode.epoch, jax.Array), "penalties may fade"
        p = variables.params
        outputs = images @ p["w"] + p["b"][None] + p["frozen"][None]
        return Forward(outputs, {"passes": variables.stats["passes"] + 1}, p["b"].mean(), {})

    def training_losses(self, outputs, batch, constants, keys, axis_name, epoch):
        return {"activity": Told(jnp.square(outputs - batch["truth"]["activity"]).mean(-1), {})}

    def add(self, sums, outputs, losses, batch, constants, axis_name):
        return {name: sums[name] + losses[name].loss.sum() for name in sums}

    def weights(self, params, epoch):
        return {}

    changing_weights = weights

    def added(self, passed, params):
        return passed.penalty

    def weighted(self, losses, weights):
        return losses["activity"]


def gradient(p, x, y):
    """Of the mean squared error and the mean of b, by hand."""
    residual = 2 * (x @ p["w"] + p["b"] - y) / y.size
    return {"w": x.T @ residual, "b": residual.sum(0) + 1 / len(p["b"])}


def by_hand(p, batches):
    velocity = {name: np.zeros_like(leaf) for name, leaf in p.items()}
    losses = []
    for x, y in batches:
        losses.append(np.square(x @ p["w"] + p["b"] - y).mean())
        first = gradient(p, x, y)
        norm = np.sqrt(sum((g**2).sum() for g in first.values()))
        second = gradient({name: p[name] + RADIUS * first[name] / norm for name in p}, x, y)
        for name in p:
            velocity[name] = MOMENTUM * velocity[name] + second[name]
        p = {name: p[name] - RATE * velocity[name] for name in p}
    return p, losses, np.sqrt(sum((g**2).sum() for g in second.values()))


@pytest.mark.parametrize(
    ("parallel", "accumulate"), [("single", 1), ("data", 2), ("pmap", 1), ("pmap", 2), ("fsdp", 1)]
)
def test_two_steps_are_the_papers_on_every_layout(parallel, accumulate, monkeypatch):
    """Devices and micro-batches climb together; statistics are of the first pass, and a frozen parameter stays."""
    monkeypatch.setattr("jaxlab.nn.spread.SMALL", 1)  # parameters lie in parts, however few
    rng = np.random.default_rng(0)
    batches = [(rng.normal(size=(8, 4)), rng.normal(size=(8, 3))) for _ in range(2)]
    start = {"w": rng.normal(size=(4, 3)), "b": rng.normal(size=3)}
    want, losses, norm = by_hand(start, batches)
    groups = Groups(SGD(momentum=MOMENTUM, sam=RADIUS), ({"w": 1.0, "b": 1.0},), ())
    learning = Learning(0, ("w", "b"), frozenset(), groups, lambda step: RATE, accumulate=accumulate)
    layout = Layout(parallel, 8, accumulate)
    step = compiled(partial(train_step, Linear(), learning), layout, 0)
    params = {name: np.float32(leaf) for name, leaf in {**start, "frozen": np.zeros(3)}.items()}
    zero = jnp.zeros(())
    state = TrainState(
        zero.astype(int), params, {"passes": zero}, {}, groups.init(params), None, zero + 1, {}
    )
    state = layout.put(state)
    for k, (x, y) in enumerate(batches):
        batch = {"image": np.float32(x), "truth": {"activity": np.float32(y)}, "index": np.arange(8)}
        state, reported = step(state, layout.put_batch(batch))
        assert float(reported["loss"]) == pytest.approx(losses[k], rel=1e-5)
    for name, leaf in want.items():
        np.testing.assert_allclose(state.params[name], leaf, rtol=1e-5, atol=1e-6, err_msg=name)
    assert (state.params["frozen"] == 0).all()
    assert float(state.stats["passes"]) == 2 * accumulate
    assert float(reported["gradient_norm"]) == pytest.approx(norm, rel=1e-5)


def test_where_there_is_no_gradient_nothing_is_climbed():
    p = {"w": jnp.ones(3)}
    np.testing.assert_array_equal(
        jax.jit(climbed, static_argnums=2)(p, {"w": jnp.zeros(3)}, 0.1)["w"], p["w"]
    )


def test_it_is_a_field_of_every_optimizer_that_changes_no_earlier_config():
    assert "sam" not in to_json(AdamW())
    assert short_hash(replace(AdamW(), sam=None)) == short_hash(AdamW())
    for kind in Optimizer.__subclasses__():
        with pytest.raises(UserError, match=r"\.sam: expected more than 0, found 0\.0"):
            kind(sam=0.0)
