"""Small submissions that the tests of this folder share."""

import numpy as np
import pytest

from submit import Predictions

ODD_IDS = ["0001", "1", "NA", "", "nan", "a,b", 'say "x"', "ü", "1e5", " padded "]


@pytest.fixture
def odd() -> Predictions:
    """Ten samples whose ids a careless reader changes, three targets."""
    values = np.random.default_rng(0).standard_normal((len(ODD_IDS), 3))
    return Predictions(
        np.array(ODD_IDS), values, np.array(["n0", "n,1", "002"]), provenance={"run": "x", "seed": 1}
    )


@pytest.fixture
def classes() -> Predictions:
    """Four samples, three classes; the first class is right for two of them."""
    logits = np.array([[3, 1, 0], [0, 2, 1], [5, 4, 3], [0, 0, 1]])
    return Predictions(
        np.array(["01", "02", "03", "04"]), logits, np.array(["cat", "dog", "ox"]), kind="logits"
    )
