"""Every family in every layout against the outputs of torchvision, timm and transformers (tools/golden.py)."""

import numpy as np
import pytest
from reference.cases import CASES
from reference.files import key_shapes
from reference.networks import outputs

from jaxlab.weights import FAMILIES
from jaxlab.weights.match import renamed

TOLERANCE = 1e-5  # of the largest value of a feature


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.golden)
def test_features_and_logits_are_the_references(case, tmp_path):
    record, found, expected = outputs(case, tmp_path)
    assert record["layout"] == case.layout
    assert found.keys() == expected.keys()
    assert len(found) > 1, "logits alone"
    for name, value in found.items():
        wanted = expected[name]
        assert wanted.std() > 0.01, "a reference that is constant shows nothing"
        np.testing.assert_allclose(value, wanted, rtol=0, atol=TOLERANCE * np.abs(wanted).max(), err_msg=name)


@pytest.mark.parametrize(
    "case", [case for case in CASES if "base" not in case.golden], ids=lambda case: case.golden
)
def test_the_kernel_that_sees_the_image_is_known(case):
    """Else a stem for grey images would not be adapted but refused."""
    family = FAMILIES[type(case.config)]
    arrays = {key: np.broadcast_to(np.float32(0), shape) for key, shape in key_shapes(case.golden).items()}
    layout = family.layout(case.config, arrays)
    assert layout.name == case.layout
    assert renamed([layout.stem], layout.rules) == {layout.stem: family.STEM}
    assert layout.stem in arrays
