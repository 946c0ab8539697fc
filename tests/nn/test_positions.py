"""Resized position embeddings beside torch's interpolate (tools/golden_vit.py)."""

from functools import partial
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from jaxlab.nn.positions import aligned, antialiased, interpolated, resized

GOLDEN = np.load(Path(__file__).parents[1] / "reference" / "goldens" / "positions.npz")


def grid_of(old):
    return jnp.asarray(GOLDEN[f"grid{old}"].reshape(1, old * old, 3))


@pytest.mark.parametrize("name", [name for name in GOLDEN.files if "," in name])
def test_as_torch_resizes(name):
    old, new, offset, widened = (float(part) for part in name.split(","))
    matrix = antialiased if widened else partial(interpolated, offset=offset)
    wanted = GOLDEN[name]
    found = resized(grid_of(int(old)), (int(new), int(old) + 1), matrix)
    np.testing.assert_allclose(np.asarray(found).reshape(wanted.shape), wanted, rtol=0, atol=1e-5)


def test_the_same_grid_is_left_alone():
    positions = grid_of(7)
    assert resized(positions, (7, 7), antialiased) is positions


@pytest.mark.parametrize("name", [name for name in GOLDEN.files if name.startswith("aligned")])
def test_as_torch_resizes_with_aligned_corners(name):
    """torchvision.models.vision_transformer.interpolate_embeddings has align_corners=True."""
    old, new = map(int, name.split()[1:])
    found = resized(grid_of(old), (new, old + 1), aligned)
    np.testing.assert_allclose(np.asarray(found).reshape(GOLDEN[name].shape), GOLDEN[name], rtol=0, atol=1e-5)


@pytest.mark.parametrize("matrix", [aligned, antialiased, interpolated])
@pytest.mark.parametrize(("old", "new"), [(14, 1), (1, 5), (7, 30), (37, 16)])
def test_constant_embeddings_stay_constant(matrix, old, new):
    np.testing.assert_allclose(matrix(old, new).sum(1), 1, rtol=0, atol=1e-6)
