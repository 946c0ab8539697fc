"""Every family in every layout against the outputs of torchvision, timm and transformers (tools/golden.py)."""

from pathlib import Path

import numpy as np
import pytest
from reference.cases import CASES
from reference.files import key_shapes
from reference.networks import GOLDEN, outputs

from jaxlab.weights import FAMILIES, family_of
from jaxlab.weights.match import renamed

CASES_OF = {f.name: [case for case in CASES if family_of(case.config) is f] for f in FAMILIES}
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
    family = family_of(case.config)
    arrays = {key: np.broadcast_to(np.float32(0), shape) for key, shape in key_shapes(case.golden).items()}
    layout = family.layout(case.config, arrays)
    assert layout.name == case.layout
    assert renamed([layout.stem], layout.rules) == {layout.stem: family.stem}
    assert layout.stem in arrays


def test_every_family_has_references_and_every_reference_a_family():
    """A text's family (no stem) is held to its own in test_bert_weights."""
    for family in FAMILIES:
        assert (Path(__file__).parents[2] / "tools" / f"golden_{family.name}.py").is_file(), family.name
        held = {type(case.config) for case in CASES_OF.get(family.name, ())}
        assert held == (set(family.models) if family.stem else set()), family.name
    seeded = {path.stem for path in GOLDEN.glob("*.npz") if "shapes" in np.load(path).files}
    assert {case.golden for case in CASES} == {name for name in seeded if not name.startswith("bert_")}


def test_a_model_is_in_one_family():
    models = [model for family in FAMILIES for model in family.models]
    assert len(set(models)) == len(models)
    assert all(family_of(model()) is family for family in FAMILIES for model in family.models)
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
