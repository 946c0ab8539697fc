import numpy as np
import pytest
from scipy.optimize import nnls

from submit.ensemble.nonnegative import nonnegative


@pytest.mark.parametrize("m", [1, 2, 5, 12])
@pytest.mark.parametrize("spread", [1.0, 0.03], ids=["apart", "nearly equal"])
def test_each_solution_is_scipys(m, spread):
    """The augmented system [P; sqrt(penalty) I] w = [y; sqrt(penalty) / m] has the same normal equations."""
    rng = np.random.default_rng(m)
    x = rng.standard_normal((200, 30, 1)) + spread * rng.standard_normal((200, 30, m))
    y = 0.5 * x[:, :, 0] + rng.standard_normal((200, 30))
    penalty = rng.choice([1e-3, 0.1, 10], 200)
    ours = nonnegative(
        np.einsum("gni,gnj->gij", x, x) + penalty[:, None, None] * np.eye(m),
        np.einsum("gni,gn->gi", x, y) + penalty[:, None] / m,
    )
    root = np.sqrt(penalty)
    for i in range(200):
        augmented = np.vstack([x[i], root[i] * np.eye(m)]), np.append(y[i], np.full(m, root[i] / m))
        np.testing.assert_allclose(ours[i], nnls(*augmented)[0], atol=1e-9)
    if m > 2:
        assert (ours == 0).any()


def test_all_weights_may_be_zero():
    assert nonnegative(np.eye(3)[None], -np.ones((1, 3))).tolist() == [[0, 0, 0]]
