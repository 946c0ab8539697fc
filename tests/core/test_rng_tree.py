"""Keys that depend on seed, step and global row alone; parameters by dotted path."""

import hashlib
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxlab.core import rng, tree
from jaxlab.core.types import Mode


def bits(keys: jax.Array) -> list[tuple[int, ...]]:
    return [tuple(row) for row in np.asarray(jax.random.key_data(keys)).reshape(-1, 2).tolist()]


def test_keys_of_rows_do_not_depend_on_how_many_devices_share_them():
    key = rng.step_key(3, 5)
    whole = bits(rng.row_keys(key, 8))
    for devices in (2, 4):
        split = jax.pmap(
            lambda _, n=8 // devices: jax.random.key_data(rng.row_keys(key, n, "d")), "d"
        )(np.zeros(devices))  # fmt: skip
        assert [tuple(row) for row in np.asarray(split).reshape(-1, 2).tolist()] == whole


def test_keys_differ_between_seeds_steps_and_rows():
    keys = [
        key
        for seed in (0, 1)
        for step in (0, 1, 2)
        for key in bits(rng.row_keys(rng.step_key(seed, step), 4))
    ]
    initial = [bits(rng.initial_key(seed))[0] for seed in (0, 1)]
    assert len({*keys, *initial}) == len(keys) + 2


def test_initial_keys_are_flaxs_own():
    ours, flaxs = rng.initial_rngs(5), nnx.Rngs(params=rng.initial_key(5))
    drawn = [bits(one.params()) for one in (ours, ours, flaxs, flaxs)]
    assert drawn[:2] == drawn[2:]
    assert drawn[0] != drawn[1]
    assert bits(jax.jit(lambda: rng.initial_rngs(5).params())()) == drawn[0]
    assert bits(ours.params.fork()()) == bits(flaxs.params.fork()())


def test_step_may_be_traced():
    assert bits(jax.jit(partial(rng.step_key, 4))(jnp.asarray(9))) == bits(rng.step_key(4, 9))


def keys(count):
    return rng.row_keys(rng.step_key(0, 0), count)


def test_dropout_zeroes_its_share_and_keeps_the_mean():
    y = np.asarray(rng.dropout(jnp.ones((8, 50, 100)), 0.3, Mode(train=True, row_keys=keys(8)), 0))
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.7)}
    assert abs((y == 0).mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / y.size)


def test_dropout_of_a_row_depends_on_its_key_and_layer_alone():
    x, mode = jnp.ones((6, 40)), Mode(train=True, row_keys=keys(6))
    whole = rng.dropout(x, 0.5, mode, 1)
    part = rng.dropout(x[2:4], 0.5, Mode(train=True, row_keys=keys(6)[2:4]), 1)
    np.testing.assert_array_equal(part, whole[2:4])
    assert len({row.tobytes() for row in np.asarray(whole)}) == 6
    assert not np.array_equal(whole, rng.dropout(x, 0.5, mode, 2)), "two layers must not share their masks"


def test_dropout_does_nothing_in_evaluation_or_at_rate_zero():
    x = jnp.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(rng.dropout(x, 0.9, Mode(), 0), x)
    np.testing.assert_array_equal(rng.dropout(x, 0.0, Mode(train=True), 0), x)
    with pytest.raises(ValueError, match="row_keys"):
        rng.dropout(x, 0.9, Mode(train=True), 0)


class Pair(nnx.Module):
    def __init__(self):
        self.layers = nnx.List([nnx.Linear(2, 3, rngs=nnx.Rngs(0)), nnx.Linear(3, 1, rngs=nnx.Rngs(1))])


def test_flatten_names_every_leaf_and_unflatten_puts_it_back():
    state = nnx.state(Pair(), nnx.Param)
    flat = tree.flatten(state)
    assert {path: leaf.shape for path, leaf in flat.items()} == {
        "layers.0.bias": (3,),
        "layers.0.kernel": (2, 3),
        "layers.1.bias": (1,),
        "layers.1.kernel": (3, 1),
    }
    assert list(flat) == sorted(flat)
    assert tree.count(flat) == 2 * 3 + 3 + 3 + 1
    doubled = tree.unflatten({path: 2 * leaf for path, leaf in flat.items()}, state)
    np.testing.assert_array_equal(doubled["layers"][0]["kernel"][...], 2 * state["layers"][0]["kernel"][...])


def test_digest_is_sha256_over_path_dtype_shape_and_bytes():
    flat = {"b": np.arange(4, dtype=np.float32).reshape(2, 2).T, "a": np.ones(3, np.int32)}
    sha = hashlib.sha256(b"a int32 (3,)" + np.ones(3, np.int32).tobytes())
    sha.update(b"b float32 (2, 2)" + np.array([0, 2, 1, 3], np.float32).tobytes())
    assert tree.digest(flat) == sha.hexdigest()
    assert tree.digest(dict(reversed(flat.items()))) == sha.hexdigest()


@pytest.mark.parametrize(
    "other",
    [
        {"a": np.ones((3, 1), np.float32)},
        {"a": np.ones((1, 3), np.float64)},
        {"A": np.ones((1, 3), np.float32)},
        {"a": np.nextafter(np.ones((1, 3), np.float32), 2)},
    ],
    ids=["shape", "dtype", "path", "one bit"],
)
def test_digest_sees(other):
    assert tree.digest(other) != tree.digest({"a": np.ones((1, 3), np.float32)})


def test_drop_path_drops_whole_rows_and_keeps_the_mean():
    keys = rng.row_keys(rng.step_key(0, 0), 4000)
    x = jnp.ones((4000, 2, 3))
    y = np.asarray(rng.drop_path(x, 0.25, Mode(train=True, row_keys=keys), 1))
    kept = y.reshape(4000, -1)
    assert (kept == kept[:, :1]).all(), "a row is dropped or kept whole"
    assert set(np.unique(kept)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((kept[:, 0] > 0).mean() - 0.75) < 0.03
    assert rng.drop_path(x, 0.25, Mode(), 1) is x
    assert rng.depth_rates(0.2, 3) == [0, 0.1, 0.2]


@pytest.mark.parametrize("seed", [0, 7, 2**31, 2**32 - 1])
def test_a_seed_as_an_argument_gives_the_same_keys(seed):
    assert bits(rng.step_key(jnp.asarray(rng.seed_words(seed)), 9)) == bits(rng.step_key(seed, 9))
