"""Blocks that compute again: the same gradients and statistics, and less memory between the passes."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from reference import shapes
from tiny import parts_of, steps, tiny

from jaxlab.core.rng import dropout
from jaxlab.core.types import Mode
from jaxlab.heads import Linear, Sum
from jaxlab.models import ResNet, ShuffleNetV2, ViT
from jaxlab.nn.norm import BatchNorm
from jaxlab.nn.remat import blocks_of, make_again
from jaxlab.optim import SGD

ROWS, WIDTH, BLOCKS = 64, 8, 3


class Block(nnx.Module):
    """What jaxlab's and Flax's own layers do, and arguments of every kind: arrays, also in dicts and by name, numbers
    and modes.
    """

    def __init__(self, rngs):
        self.wide, self.narrow = (
            nnx.Linear(WIDTH, 8 * WIDTH, rngs=rngs),
            nnx.Linear(8 * WIDTH, WIDTH, rngs=rngs),
        )
        self.norm = BatchNorm(8 * WIDTH)

    def __call__(self, maps, mode, *, shown, number, strength=1.0):
        x = maps["x"]
        y = jnp.tanh(self.norm(jnp.sin(self.wide(x)), mode)) * shown[:, None] * strength
        return x + self.narrow(dropout(y, 0.3, mode, number))


class Tower(nnx.Module):
    def __init__(self, rngs):
        self.blocks = nnx.List([Block(rngs) for _ in range(BLOCKS)])
        self.plain = nnx.List([nnx.Linear(WIDTH, WIDTH, rngs=rngs)])

    def __call__(self, x, shown, mode):
        for number, block in enumerate(self.blocks):
            x = block({"x": x}, mode, shown=shown, number=number, strength=x.mean())
        return self.plain[0](x)


def test_gradients_are_the_same_and_less_is_kept():
    graphdef, params, stats = nnx.split(Tower(nnx.Rngs(0)), nnx.Param, nnx.BatchStat)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(ROWS, WIDTH)), "float32")
    shown = jnp.arange(ROWS) % 3 > 0
    mode = Mode(train=True, row_keys=jax.random.split(jax.random.key(0), ROWS))

    def loss(params, stats, x, mode, again):
        tower = nnx.merge(graphdef, params, stats, copy=True)
        for block in tower.blocks if again else ():
            make_again(block)
        return jnp.square(tower(x, shown, mode)).mean(), nnx.state(tower, nnx.BatchStat)

    def compiled(again):
        def both(params, stats, x, keys):
            return jax.grad(lambda p: loss(p, stats, x, replace(mode, row_keys=keys), again), has_aux=True)(
                params
            )

        return jax.jit(both).lower(params, stats, x, mode.row_keys).compile()

    usual, again = compiled(False), compiled(True)
    found, expected = (one(params, stats, x, mode.row_keys) for one in (again, usual))
    for mine, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)
    assert not np.array_equal(*(jax.tree.leaves(one)[0] for one in (found[1], stats)))  # statistics move
    kept = 4 * ROWS * 8 * WIDTH * (BLOCKS - 1)  # of one array of each block but the one at hand, at least
    less, more = (one.memory_analysis().temp_size_in_bytes for one in (again, usual))
    assert less <= more - kept


def test_blocks_are_what_lists_hold_of_modules():
    assert blocks_of(Tower(nnx.Rngs(0))) == tuple(f"blocks.{k}" for k in range(BLOCKS))

    def count(model):
        return len(blocks_of(nnx.merge(*shapes.split(model))))

    assert [count(ResNet(depth=18)), count(ViT(size="tiny")), count(ShuffleNetV2())] == [8, 12, 16]


def test_blocks_of_a_program_are_those_of_the_backbone(arrays_npz):
    """The heads of a sum are modules in a list, too."""
    head = Sum(heads=(Linear(layer="level1"), Linear(layer="level2")))
    program = parts_of(tiny(arrays_npz, head=head)).program
    own = ("backbone.levels.0", "backbone.levels.1")
    assert blocks_of(nnx.merge(*program.shapes)) == (*own, "head.heads.0", "head.heads.1")
    assert program.blocks == own


@pytest.mark.exhaustive
@pytest.mark.parametrize("parallel", ["single", "data", "pmap"])
def test_a_step_is_the_same(arrays_npz, parallel):
    parts = {"optimizer": SGD(lr=0.05)}
    (found, reports), (one, expected) = (
        steps(tiny(arrays_npz, f"training.parallel={parallel}", f"training.remat={again}", **parts), 3)
        for again in ("true", "false")
    )
    for mine, theirs in zip(reports, expected, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-5)
    for path, leaf in one.params.items():
        np.testing.assert_allclose(found.params[path], leaf, rtol=1e-4, atol=1e-6, err_msg=path)
