"""What is compiled for several processes is compiled for each shape, and all meet each time."""

import jax
import numpy as np

from jaxlab.training.hosts import arrays


def test_arguments_of_other_shapes_are_compiled_anew_and_met_for(monkeypatch):
    """As a gather of cached features is called with batches for training, and for validation with a mask."""
    met = []
    monkeypatch.setattr(arrays, "current", lambda: type("Met", (), {"meet": staticmethod(met.append)}))
    doubled = arrays.together(jax.jit(lambda tree: {name: 2 * leaf for name, leaf in tree.items()}))
    for tree in (
        {"x": np.arange(3.0)},
        {"x": np.arange(3.0), "mask": np.ones(3)},
        {"x": np.arange(4.0)},
        {"x": np.ones(3)},
    ):
        for name, leaf in doubled(tree).items():
            np.testing.assert_array_equal(leaf, leaf.dtype.type(2) * tree[name].astype(leaf.dtype))
    assert met == ["compiling"] * 3
