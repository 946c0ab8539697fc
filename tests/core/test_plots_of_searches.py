"""Figures of a search: where the axes' ends and marks lie."""

import numpy as np
import pytest

from jaxlab.core.plots_of_searches import _column, history, importance_bars, parallel_coordinates


def test_places_on_an_axis():
    heights, ticks = _column([1e-4, 1e-2, 1e-3, 1e-4, 2e-4, 5e-3, 7e-3], True)
    np.testing.assert_allclose(heights[:4], [0, 1, 0.5, 0], atol=1e-12)
    assert ticks == [(0.0, "0.0001"), (pytest.approx(0.5), "0.001"), (1.0, "0.01")]
    heights, ticks = _column([0, 0.2, 0.5], False)
    assert ticks == [(0.0, "0"), (pytest.approx(0.4), "0.2"), (1.0, "0.5")]
    assert _column(["b", "a", "b"], False)[1] == [(0.0, "b"), (1.0, "a")]
    assert _column([3, 3], False)[0].tolist() == [0.5, 0.5]


@pytest.mark.usefixtures("painted_figures")
def test_they_are_drawn_of_one_trial_too(tmp_path):
    history({0: 0.4}, lambda new, old: old is None or new > old, "score", tmp_path / "history.png")
    parallel_coordinates({"lr": [0.1], "kind": ["a"]}, {"lr"}, [0.4], [0.4], "r", tmp_path / "parallel.png")
    importance_bars({"lr": 0.7, "kind": 0.3}, tmp_path / "importance.png")
    assert len(list(tmp_path.glob("*.png"))) == 3
