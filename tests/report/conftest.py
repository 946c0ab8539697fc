"""Runs made of files, for pages and tables of them."""

import numpy as np
import pytest
from made import CLASSES, N, T, arrays, made_run

from jaxlab.losses import CrossEntropy


@pytest.fixture(scope="session")
def numbered(tmp_path_factory):
    """(its arrays' file, truth (24, 6), a run that predicted rows 8 to 23, another that predicted 4 to 19)."""
    folder = tmp_path_factory.mktemp("numbers")
    rng = np.random.default_rng(1)
    truth = rng.normal(10, 3, (N, T)).astype(np.float32)
    truth[:, -1] = 4  # constant
    root = arrays(folder / "arrays.npz", targets=truth, target_names=np.array([f"n{k}" for k in range(T)]))
    runs = []
    for number, rows in enumerate((np.arange(8, 24), np.arange(4, 20))):
        values = (truth[rows] + rng.normal(0, 1 + number, (16, T))).astype(np.float32)
        settings = [f"optimizer.lr={0.01 * (number + 1)}"]
        runs.append(
            made_run(folder / "runs" / f"run{number}", root, rows, values, [0.2, 0.5, 0.4], *settings)
        )
    return root, truth, runs


@pytest.fixture(scope="session")
def classified(tmp_path_factory):
    """A run on four classes, one of them of a hostile name, in a directory of one."""
    folder = tmp_path_factory.mktemp("classes")
    rng = np.random.default_rng(2)
    labels = np.arange(N) % 4
    root = arrays(folder / "arrays.npz", labels=labels, target_names=np.array(CLASSES))
    logits = (3 * np.eye(4)[labels] + rng.normal(0, 2, (N, 4))).astype(np.float32)
    name = "<b onmouseover=window.owned=1>run"
    return (
        made_run(folder / name, root, np.arange(N), logits, [0.3, 0.6, 0.5], loss=CrossEntropy()),
        logits,
        labels,
    )
