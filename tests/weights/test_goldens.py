"""Every family in every layout against the outputs of torchvision, timm and transformers (tools/golden.py)."""

from pathlib import Path

import numpy as np
import pytest
from reference import files, seeded, shapes
from reference.cases import CASES
from reference.files import key_shapes, load
from reference.networks import GOLDEN, Case, feature_shapes, forward, outputs, summaries
from safetensors.numpy import save_file

from jaxlab.weights import FAMILIES, family_of, load_pretrained
from jaxlab.weights.match import renamed

CASES_OF = {f.name: [case for case in CASES if family_of(case.config) is f] for f in FAMILIES}
TOLERANCE = 1e-5  # of the largest value of a feature


def kind(case: Case) -> tuple:
    """What makes other code run: all but a size, which the names and shapes of all the network's weights are held to.

    That is the family and the layout, the convention of paddings, blurred maps, a distillation token, bottlenecks
    (ResNets of 50 layers and more), squeeze and excitation (EfficientNets that are not lite), and the form of images.
    """
    config = case.config
    features = (getattr(config, name, None) for name in ("convention", "blur", "distilled"))
    lite = str(getattr(config, "variant", "")).startswith("lite")
    return (type(config), case.layout, *features, getattr(config, "depth", 0) >= 50, lite, case.images)


# The first of each kind, which is the smallest; `make test-all` runs them all.
COMPARED = {kind(case): case for case in reversed(CASES)}.values()


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [pytest.param(c, marks=[] if c in COMPARED else pytest.mark.exhaustive, id=c.golden) for c in CASES],
)
def test_features_and_logits_are_the_references(case):
    record, found, expected = outputs(case)
    assert record["layout"] == case.layout
    assert found.keys() == expected.keys()
    assert len(found) > 1, "logits alone"
    for name, value in found.items():
        wanted = expected[name]
        assert wanted.std() > 0.01, "a reference that is constant shows nothing"
        np.testing.assert_allclose(value, wanted, rtol=0, atol=TOLERANCE * np.abs(wanted).max(), err_msg=name)


@pytest.mark.parametrize("case", [c for c in CASES if c not in COMPARED], ids=lambda case: case.golden)
def test_names_and_shapes_are_the_references(case):
    """Of every weight, both ways, and of every feature that was kept: traced, not compiled."""
    config, channels = case.config, case.images[-1]
    params, stats, record = load(config, zeros(case.golden), channels=channels)
    assert record["layout"] == case.layout
    assert len(params) + len(stats) == record["used"]
    made = feature_shapes(config, case.images)
    found = summaries({name: np.broadcast_to(np.float32(0), f.shape) for name, f in made.items()}, case)
    expected = case.expected
    assert len(found) > 1, "logits alone"
    assert {name: value.shape for name, value in found.items()} == {n: v.shape for n, v in expected.items()}


def zeros(golden: str) -> dict[str, np.ndarray]:
    """The golden's state dict without memory of its own."""
    return {key: np.broadcast_to(np.float32(0), shape) for key, shape in key_shapes(golden).items()}


def test_a_file_gives_what_its_arrays_give(tmp_path):
    """The way of a user, of which the other tests leave out the file."""
    (case,) = (case for case in CASES if case.golden == "lenet5_32")
    source = files.state_dict(case.golden)
    save_file(source, tmp_path / "model.safetensors")
    _, params, stats = shapes.split(case.config, 1)
    found = load_pretrained(case.config, str(tmp_path), shapes.flat(params), shapes.flat(stats))
    expected = load(case.config, source, channels=1)
    for path, leaf in (expected[0] | expected[1]).items():
        np.testing.assert_array_equal((found[0] | found[1])[path], leaf, err_msg=path)
    features = forward(case.config, 1)(*found[:2], seeded.images(case.images))
    for name, value in summaries({n: np.asarray(v) for n, v in features.items()}, case).items():
        np.testing.assert_allclose(value, case.expected[name], rtol=0, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.golden)
def test_the_kernel_that_sees_the_image_is_known(case):
    """Else a stem for grey images would not be adapted but refused."""
    family = family_of(case.config)
    arrays = zeros(case.golden)
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
    names = {path.stem for path in GOLDEN.glob("*.npz") if "shapes" in np.load(path).files}
    assert {case.golden for case in CASES} == {name for name in names if not name.startswith("bert_")}


def test_a_model_is_in_one_family():
    models = [model for family in FAMILIES for model in family.models]
    assert len(set(models)) == len(models)
    assert all(family_of(model()) is family for family in FAMILIES for model in family.models)
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
