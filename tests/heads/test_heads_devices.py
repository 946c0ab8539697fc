"""Heads inside a whole training step: one device and four make the same update."""

import jax
import numpy as np
import pytest
from tiny import steps, tiny

from jaxlab.heads import Attention, Factorized, Gaussian, LowRank, RetinaMap, Squashed, Sum
from jaxlab.nn import spread
from jaxlab.optim import SGD

HEAD = Squashed(
    head=Sum(
        heads=(
            Gaussian(layer="level1", dropout=0.3, l1=1e-3),
            Factorized(layer="level2", l1_mask=1e-3),
            LowRank(rank=3, layer=("level1", "level2"), normalize=True),
            RetinaMap(layer=("level1", "level2"), width=4, noise=0.1, dropout=0.3, entropy=0.1),
            Attention(layer=("level1", "level2"), width=4, heads=1, dropout=0.3),
        )
    )
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "parallel", ["pmap", *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ("data", "fsdp"))]
)
def test_same_update_as_a_single_device(arrays_npz, parallel, monkeypatch):
    """Within float32: the largest difference of a leaf over the largest change that training made to it."""
    monkeypatch.setattr(spread, "SMALL", 2)  # however little, in parts; and every target one of many
    monkeypatch.setattr(spread, "MANY", 2)
    parts = {"head": HEAD, "optimizer": SGD(lr=0.05)}
    (found, reports), (one, expected), (start, _) = (
        steps(tiny(arrays_npz, f"training.parallel={kind}", **parts), count)
        for kind, count in ((parallel, 3), ("single", 3), ("single", 0))
    )
    assert jax.device_count() == 4
    for mine, single in zip(reports, expected, strict=True):
        assert mine == pytest.approx(single, rel=1e-4)
    changed = {path for path in start.params if not np.array_equal(one.params[path], start.params[path])}
    redundant = {path for path in start.params if path.endswith(".bias") and ".inner." in path}
    assert start.params.keys() - changed <= redundant  # the batch norm that follows takes them away
    for path in changed - redundant:
        apart = np.abs(found.params[path] - one.params[path]).max()
        assert apart < 1e-3 * np.abs(one.params[path] - start.params[path]).max(), path
