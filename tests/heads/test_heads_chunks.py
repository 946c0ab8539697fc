"""Forty thousand targets: what a training step of a spatial readout holds at once, read off the compiled program."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx
from readouts import names, shapes_of

from jaxlab.core.rng import row_keys, step_key
from jaxlab.core.types import Mode
from jaxlab.heads import Attention, Factorized, Gaussian, RetinaMap, chunks

ROWS, SHAPE, TARGETS = 32, (14, 14, 112), 39_548
ONE = ROWS * SHAPE[2] * TARGETS * 4  # bytes: the features of each image and target, 567 MB


def temporary(head):
    """Bytes that the gradient of a loss takes besides its arguments and results."""
    shapes = shapes_of({"x": SHAPE})
    module = nnx.eval_shape(lambda: head.build(shapes, names(TARGETS), nnx.Rngs(0)))
    graphdef, params = nnx.split(module)

    def loss(params, x, truth):
        mode = Mode(train=True, row_keys=row_keys(step_key(0, 0), ROWS))
        return jnp.mean(jnp.square(nnx.merge(graphdef, params)({"x": x}, mode) - truth))

    x = jax.ShapeDtypeStruct((ROWS, *SHAPE), "float32")
    truth = jax.ShapeDtypeStruct((ROWS, TARGETS), "float32")
    compiled = jax.jit(jax.grad(loss)).lower(params, x, truth).compile()
    return compiled.memory_analysis().temp_size_in_bytes


@pytest.mark.slow
@pytest.mark.parametrize(
    "head",
    [
        Factorized(normalize=False),
        Gaussian(normalize=False),
        RetinaMap(normalize=False),
        Attention(normalize=False),
    ],
    ids=lambda head: type(head).__name__,
)
def test_forty_thousand_targets_never_lie_in_memory_with_their_features(head, monkeypatch):
    monkeypatch.setattr(chunks, "LIMIT", chunks.CPU_LIMIT)
    assert temporary(head) < ONE / 3  # seen: 91 and 121 MB
    for name in ("CPU_LIMIT", "LIMIT"):
        monkeypatch.setattr(chunks, name, 2**40)
    assert temporary(head) > ONE, "nothing to save: the measure shows nothing"


def test_few_targets_are_read_in_one_go():
    calls = []

    def read(leaf):
        calls.append(leaf.shape)
        return leaf

    out = jax.eval_shape(lambda leaf: chunks.over_targets(read, (leaf,), ROWS * 960), jnp.zeros((33, ROWS)))
    assert calls == [(33, ROWS)]
    assert out.shape == (ROWS, 33)
