"""Every family in every layout against the outputs of torchvision, timm and transformers (tools/golden.py)."""

import cases_efficientnet
import cases_lenet
import cases_mobilenetv2
import cases_resnet
import cases_shufflenet
import cases_vit
import numpy as np
import pytest
from goldens import outputs

CASES = [
    *cases_efficientnet.CASES,
    *cases_lenet.CASES,
    *cases_mobilenetv2.CASES,
    *cases_resnet.CASES,
    *cases_shufflenet.CASES,
    *cases_vit.CASES,
]
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
