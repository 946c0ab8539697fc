"""What files that do not fit a ShuffleNetV2 are answered."""

import numpy as np
import pytest
from reference.files import load, state_dict

from jaxlab.core.types import UserError
from jaxlab.models import ShuffleNetV2


def test_a_backbone_leaves_the_classifier_and_says_so(tmp_path):
    source = state_dict("shufflenet_x0_5")
    params, stats, record = load(ShuffleNetV2(width=0.5), tmp_path, source, channels=1)
    counters = sum(key.endswith("num_batches_tracked") for key in source)
    assert record["skipped"] == {"counters of PyTorch's batch norm": counters, "the file's classifier": 2}
    assert record["used"] == len(params) + len(stats) == len(source) - counters - 2
    assert record["stem"] == "summed over 3 channels"
    assert record["preprocessing"] == {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    np.testing.assert_array_equal(
        params["stage3.0.branch1.depthwise.kernel"][2, 1, 0],
        source["stage3.0.branch1.0.weight"][:, 0, 2, 1],
    )


@pytest.mark.parametrize(
    ("config", "name", "words"),
    [
        (ShuffleNetV2(), "x0_5", r"looks like ShuffleNetV2\(width=0\.5\), the config is .*\(width=1\.0\)$"),
        (ShuffleNetV2(width=0.5), "x1_0", r"looks like ShuffleNetV2\(width=1\.0\), .*\(width=0\.5\)$"),
    ],
)
def test_another_width_is_recognised(config, name, words, tmp_path):
    with pytest.raises(UserError, match=words) as caught:
        load(config, tmp_path, state_dict(f"shufflenet_{name}"))
    assert "of another shape" in str(caught.value)


@pytest.mark.parametrize(
    ("width", "words"), [(88, "ShuffleNetV2 1.5x"), (122, "ShuffleNetV2 2.0x"), (7, "14 channels in stage2")]
)
def test_widths_that_jaxlab_has_not_are_named(width, words, tmp_path):
    source = {"stage2.1.branch2.0.weight": np.zeros((width, width, 1, 1), np.float32)}
    with pytest.raises(UserError, match=f"looks like (a ShuffleNetV2 of )?{words}.* which jaxlab has not"):
        load(ShuffleNetV2(), tmp_path, source)


def test_another_network_and_missing_or_extra_keys_are_recognised(tmp_path):
    with pytest.raises(UserError, match=r"does not look like a ShuffleNetV2 of torchvision$"):
        load(ShuffleNetV2(), tmp_path, {"layer1.0.conv1.weight": np.zeros((3, 3), np.float32)})
    source = state_dict("shufflenet_x0_5") | {"extra.weight": np.zeros(1, np.float32)}
    del source["stage4.3.branch2.4.bias"]
    with pytest.raises(UserError) as caught:
        load(ShuffleNetV2(width=0.5), tmp_path, source)
    assert "1 not expected in the file: extra.weight" in str(caught.value)
    assert "1 missing from the file: stage4.3.branch2.depthwise_bn.bias" in str(caught.value)
    assert "looks like" not in str(caught.value)
