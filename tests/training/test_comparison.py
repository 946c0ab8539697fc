"""The gradients of two objectives on what they share, against numpy, on every layout; what is recorded and said."""

import io
import math
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from jaxlab.objectives import Told
from jaxlab.optim import SGD, Groups
from jaxlab.training.agreement import agreement, agreement_text
from jaxlab.training.comparison import compared_gradients, shared
from jaxlab.training.display import TerminalDisplay
from jaxlab.training.sharding import Layout
from jaxlab.training.state import TrainState
from jaxlab.training.step import Forward
from jaxlab.training.update import Learning, compiled

WEIGHTS = {"activity": 1.0, "object": 0.3}


class Goal(NamedTuple):
    name: str


class TwoReadouts:
    """x w read by two vectors, each with a squared error."""

    objectives = (Goal("activity"), Goal("object"))
    pretext = None

    def prepare(self, images, keys):
        return images

    def apply(self, variables, images, mode, frozen_norms, ranges):
        p = variables.params
        shared = images @ p["backbone.w"]
        outputs = jnp.stack([shared @ p["head.activity"], shared @ p["head.object"]], axis=1)
        return Forward(outputs, variables.stats, jnp.zeros(()), {})

    def training_losses(self, outputs, batch, constants, keys, axis_name, epoch):
        return {
            name: Told(jnp.square(outputs[:, k] - batch["truth"][name]), {})
            for k, name in enumerate(("activity", "object"))
        }

    def weights(self, params, epoch):
        return WEIGHTS


@pytest.mark.parametrize(("parallel", "accumulate"), [("single", 1), ("data", 2), ("pmap", 2)])
def test_norms_and_products_are_numpys(parallel, accumulate):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8, 4))
    params = {"backbone.w": rng.normal(size=(4, 3))} | {
        f"head.{name}": rng.normal(size=3) for name in WEIGHTS
    }
    truth = {name: rng.normal(size=8) for name in WEIGHTS}
    by_hand = {}
    for name, weight in WEIGHTS.items():
        residual = 2 * weight * (x @ params["backbone.w"] @ params[f"head.{name}"] - truth[name]) / 8
        by_hand[name] = np.outer(x.T @ residual, params[f"head.{name}"]).ravel()
    learning = Learning(
        0, tuple(params), frozenset(), Groups(SGD(), (), ()), lambda step: 0.1, accumulate=accumulate
    )
    assert shared(learning) == ("backbone.w",)
    layout = Layout(parallel, 8, accumulate)
    compare = compiled(partial(compared_gradients, TwoReadouts(), learning), layout, 0)
    params = {path: np.float32(leaf) for path, leaf in params.items()}
    state = TrainState(jnp.zeros((), int), params, {}, {}, (), None, jnp.ones(()), {})
    batch = {"image": np.float32(x), "truth": truth, "index": np.arange(8)}
    found = agreement(list(WEIGHTS), **compare(layout.put(state), layout.put_batch(batch)))
    lengths = {name: np.linalg.norm(own) for name, own in by_hand.items()}
    cosine = by_hand["activity"] @ by_hand["object"] / np.prod(list(lengths.values()))
    expected = {f"{name}/gradient_norm": length for name, length in lengths.items()}
    assert found == pytest.approx({**expected, "activity/object/gradient_cosine": cosine}, rel=1e-4)


def test_of_three_objectives_the_pair_that_agrees_least_is_said():
    found = agreement(["a", "b", "c"], np.array([1.0, 2.0, 4.0]), np.array([1.0, -1.0, 4.0]))
    assert found["a/b/gradient_cosine"] == 0.5
    assert found["a/c/gradient_cosine"] == -0.25
    assert found["b/c/gradient_cosine"] == 0.5
    assert agreement_text(found) == "gradients: a 1, b 2, c 4; cosine of a and c -0.25"
    assert agreement_text({"loss": 1.0}) == ""


def test_a_gradient_that_is_nothing_has_no_cosine():
    found = agreement(["a", "b"], np.array([0.0, 2.0]), np.array([0.0]))
    assert math.isnan(found["a/b/gradient_cosine"])
    assert agreement_text(found) == "gradients: a 0, b 2; cosine nan"


def test_the_terminal_shows_them_under_the_epochs_line():
    out = io.StringIO()
    display = TerminalDisplay(Console(file=out, width=80), 4, 0, 8)
    scores = {"loss": 1.25, "pearson": 0.5}
    display.epoch(1, scores | agreement(["activity", "object"], [0.5, 0.25], [-0.025]), scores, True)
    display.table()
    assert "           gradients: activity 0.5, object 0.25; cosine -0.20\n" in out.getvalue()
    assert "activity/object/gradient cosine" in out.getvalue()
    assert max(map(len, out.getvalue().splitlines())) <= 80
