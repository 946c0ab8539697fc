"""What names and shapes cannot tell of a network is said when its weights are loaded.

The kind: variants that differ in what has no parameters, such as anti-aliasing and padding (timm's resnetaa50 and
efficientnet_blur_b0 have every name and shape of the plain ones), and reference code that pads otherwise.
"""

import pytest
from reference.files import load, state_dict

from jaxlab.models import EfficientNet, ResNet

BLUR = ResNet(depth=18, blur=True)
TENSORFLOW = EfficientNet(convention="tensorflow")
SAID = [
    ("resnet18_timm", ResNet(depth=18), "resnetaa18", "computed as resnet18"),
    ("resnetblur18_timm", BLUR, "resnetaa18", "computed as resnetblur18"),
    ("efficientnet_b0_timm", EfficientNet(), "efficientnet_blur_b0", "computed as efficientnet_b0 "),
    ("efficientnet_b0_timm_tf", TENSORFLOW, "efficientnet_blur_b0", "computed as tf_efficientnet_b0 "),
]


@pytest.mark.parametrize(("golden", "config", "other", "words"), SAID, ids=[row[0] for row in SAID])
def test_a_bare_file_is_said_to_be_taken_as_the_config_has_it(golden, config, other, words):
    (note,) = load(config, state_dict(golden))[2]["notes"]
    assert other in note
    assert words in note


def test_beside_a_config_json_nothing_is_unknown():
    beside = {"config.json": {"architecture": "resnet18"}}
    assert load(ResNet(depth=18), state_dict("resnet18_timm"), beside)[2]["notes"] == []


def test_transformers_pads_an_efficientnet_otherwise_at_odd_sizes():
    (note,) = load(TENSORFLOW, state_dict("efficientnet_b0_transformers"))[2]["notes"]
    assert "pads by fixed numbers of pixels" in note
    assert load(ResNet(depth=18), state_dict("resnet18_transformers"))[2]["notes"] == []
