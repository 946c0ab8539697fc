"""Networks of Flax's own layers, written without a thought of jaxlab.

The kind: what a layer does differently in training and in evaluation, and what it keeps between calls. It works (batch
statistics, dropout by rows, an array as the result, no argument for the mode) or it is refused in a sentence.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

from jaxlab.core.rng import initial_rngs, row_keys
from jaxlab.core.types import EVALUATION, Mode, UserError
from jaxlab.heads import Linear
from jaxlab.heads.network import build_network
from jaxlab.models import Model
from jaxlab.nn.cpu.turns import in_turns
from jaxlab.nn.plain import adopted, check_rows, features

X = np.random.default_rng(0).normal(3, 2, (8, 4)).astype(np.float32)


class Plain(nnx.Module):
    def __init__(self, rngs, rate=0.5):
        self.norm = nnx.BatchNorm(4, momentum=0.9, rngs=rngs)
        self.drop = nnx.Dropout(rate, rngs=rngs)

    def __call__(self, x):
        return self.drop(self.norm(x))


def plain(rate=0.0):
    return adopted(Plain(initial_rngs(0), rate), "Mine")


def training(rows=8, axis_name=None):
    return Mode(train=True, row_keys=row_keys(jax.random.key(3), rows, axis_name), axis_name=axis_name)


def test_batch_norm_takes_the_running_statistics_in_evaluation():
    """A row's result is then its own affair: with the batch's statistics its neighbours decided it."""
    module = plain()
    module.norm.mean[...], module.norm.var[...] = np.full(4, 1, np.float32), np.full(4, 4, np.float32)
    together = features(module, jnp.asarray(X), EVALUATION)["features"]
    np.testing.assert_allclose(together, (X - 1) / np.sqrt(4 + 1e-5), rtol=1e-6)
    alone = features(module, jnp.asarray(X[:1]), EVALUATION)["features"]
    np.testing.assert_array_equal(together[:1], alone)
    np.testing.assert_array_equal(module.norm.mean[...], np.full(4, 1, np.float32))


def test_batch_norm_trains_by_the_batch_and_keeps_its_statistics():
    module = plain()
    found = features(module, jnp.asarray(X), training())["features"]
    np.testing.assert_allclose(found, (X - X.mean(0)) / np.sqrt(X.var(0) + 1e-5), atol=1e-5)
    np.testing.assert_allclose(module.norm.mean[...], 0.1 * X.mean(0), rtol=1e-5)
    np.testing.assert_allclose(module.norm.var[...], 0.9 + 0.1 * X.var(0), rtol=1e-5)
    module.norm.use_running_average = True  # as a frozen layer's is set
    before = module.norm.mean[...]
    features(module, jnp.asarray(X), training())
    np.testing.assert_array_equal(module.norm.mean[...], before)


def test_statistics_are_measured_by_the_momentum_of_the_mode():
    """Averages over all batches, 1 / k of the k-th, as after averaging weights."""
    module = plain()
    for k, half in enumerate((X[:4], X[4:])):
        features(module, jnp.asarray(half), Mode(momentum=jnp.float32(1 / (k + 1))))
    np.testing.assert_allclose(module.norm.mean[...], X.mean(0), rtol=1e-5)
    assert module.norm.momentum == 0.9
    assert module.norm.axis_name is None


def test_statistics_and_masks_are_the_same_however_the_batch_is_split():
    """On two devices under pmap, which reduces them over its axis, as on one."""
    graphdef, state = nnx.split(plain(0.5))

    def run(state, x, rows, axis_name):
        module = nnx.merge(graphdef, state, copy=True)
        found = features(module, x, training(rows, axis_name))["features"]
        return found, nnx.state(module, nnx.BatchStat)

    one, stats = run(state, jnp.asarray(X), 8, None)
    mapped = jax.pmap(partial(run, rows=4, axis_name="d"), "d", in_axes=(None, 0), devices=jax.devices()[:2])
    two, both = mapped(state, X.reshape(2, 4, 4))
    np.testing.assert_allclose(two.reshape(8, 4), one, atol=1e-5)
    assert 0.2 < (np.asarray(one) == 0).mean() < 0.8
    for alone, each in zip(jax.tree.leaves(stats), jax.tree.leaves(both), strict=True):
        np.testing.assert_allclose(each[0], alone, rtol=1e-5)
        np.testing.assert_allclose(each[1], alone, rtol=1e-5)


def test_dropout_is_for_training_and_keeps_the_mean():
    module = adopted(nnx.Dropout(0.25, rngs=initial_rngs(0)), "Mine")
    ones = jnp.ones((8, 1000))
    np.testing.assert_array_equal(features(module, ones, EVALUATION)["features"], ones)
    found = np.asarray(features(module, ones, training())["features"])
    assert set(np.unique(found).round(4)) == {0, np.float32(4 / 3).round(4)}
    np.testing.assert_allclose(found.mean(), 1, atol=0.03)
    parts = features(module, jnp.ones((16, 10)), training())["features"]  # two parts of each row
    assert parts.shape == (16, 10)
    with pytest.raises(
        UserError, match=r"nnx\.Dropout: expected rows that are those of the batch .*, 8, found 9"
    ):
        features(module, jnp.ones((9, 10)), training())


@dataclass(frozen=True, kw_only=True)
class Sequence(Model):
    def build(self, in_channels, rngs):
        layers = nnx.Conv(in_channels, 4, (3, 3), rngs=rngs), nnx.BatchNorm(4, rngs=rngs), nnx.relu
        return nnx.Sequential(*layers, nnx.Dropout(0.5, rngs=rngs))


def test_a_sequence_of_layers_is_a_model_whose_array_is_its_only_layer():
    network = build_network(Sequence(), Linear(), (6, 6, 3), ("a", "b"), initial_rngs(0))
    assert network(jnp.ones((2, 6, 6, 3)), EVALUATION).shape == (2, 2)
    kinds = {type(leaf).__name__ for _, leaf in nnx.to_flat_state(nnx.state(network))}
    assert kinds <= {"Param", "BatchStat"}


class Own(nnx.Module):
    def __init__(self, made):
        self.made = made

    def __call__(self, x, mode):
        return self.made


class Keeping(nnx.Module):
    def __init__(self, rngs):
        self.rngs = rngs


REFUSED = {
    "random numbers of its own": (lambda: Keeping(initial_rngs(0)), r"Mine: .* found 4 others: rngs\.default\.count"),
    "a cache": (lambda: Own(nnx.Cache(jnp.ones(1))), r"found 1 others: made \(Cache\)"),
    "linen": (lambda: linen.Dense(3), r"Mine\.build: expected .*, found Dense, a module of flax\.linen"),
    "no module": (lambda: 3, r"Mine\.build: expected a flax\.nnx\.Module, found int$"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_carried_is_refused(name):
    made, words = REFUSED[name]
    with pytest.raises(UserError, match=words):
        adopted(made(), "Mine")


class Trains(nnx.Module):
    def __call__(self, x, train):
        return x + train


def test_an_argument_that_is_no_mode_is_refused():
    """A Mode would count as true, in evaluation too."""
    with pytest.raises(
        UserError, match=r"Trains: expected a call as \(images, mode\), .*, found \(images, train\)"
    ):
        features(Trains(), jnp.asarray(X), EVALUATION)


@pytest.mark.parametrize(
    ("result", "words"),
    [({}, "a dict of nothing"), ({"a": 3}, "a dict of int"), ("map", "a str"), (None, "a NoneType")],
)
def test_another_result_is_refused(result, words):
    with pytest.raises(
        UserError, match=rf"Own: expected an array, or a dict of arrays by layer.*; found {words}"
    ):
        features(Own(result), jnp.asarray(X), EVALUATION)


class OfBatch(nnx.Module):
    """A batch norm by hand."""

    def __call__(self, x):
        return (x - x.mean(0, keepdims=True)) / (x.std(0, keepdims=True) + 1e-3)


class Statistic(nnx.Module):
    """Running statistics by hand, which change in evaluation too."""

    def __init__(self):
        self.mean = nnx.BatchStat(jnp.zeros(4))

    def __call__(self, x):
        self.mean[...] = 0.9 * self.mean[...] + 0.1 * x.mean(0)
        return x - self.mean[...][None]


class Ranked(nnx.Module):
    def __call__(self, x):
        return jnp.sort(x, 0)


class OfRow(nnx.Module):
    def __call__(self, x):
        return (x - x.mean(-1, keepdims=True)) / (x.std(-1, keepdims=True) + 1e-3)


@pytest.mark.parametrize("made", [OfBatch, Statistic, Ranked])
def test_rows_that_see_one_another_in_evaluation_are_refused(made):
    with pytest.raises(UserError, match=r"Sequence: .* depends on the others in its batch"):
        check_rows(lambda x: features(made(), x, EVALUATION), (4,), [Sequence(), Linear()])


def test_rows_are_seen_to_meet_where_a_network_takes_one_image_at_a_time():
    """As of more than 366 pixels' side on a CPU."""

    def forward(x):
        return in_turns(OfBatch(), lambda module, x: features(module, x, EVALUATION), x, 1)

    with pytest.raises(UserError, match=r"Sequence: .* depends on the others in its batch"):
        check_rows(forward, (4, 4, 3), [Sequence()])


@pytest.mark.parametrize("made", [plain, OfRow])
def test_rows_that_do_not_are_taken(made):
    check_rows(lambda x: features(made(), x, EVALUATION), (4,), [Sequence()])


def test_parts_of_jaxlab_are_not_tried():
    check_rows(lambda x: 1 / 0, (4,), [Linear()])
