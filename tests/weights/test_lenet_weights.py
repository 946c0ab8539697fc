"""What files that do not fit a LeNet-5 are answered."""

from functools import partial

import numpy as np
import pytest
from reference import files

from jaxlab.core.types import UserError
from jaxlab.models import LeNet5

load = partial(files.load, channels=1)


def test_the_first_linear_layer_is_turned_from_channels_first(tmp_path):
    source = files.state_dict("lenet5_32")
    params, _, record = load(LeNet5(), tmp_path, source)
    assert record["skipped"] == {"the file's classifier": 2}
    channel, row, column = 3, 4, 1
    np.testing.assert_array_equal(
        params["fc1.kernel"][(row * 5 + column) * 16 + channel],
        source["fc1.weight"][:, channel * 25 + row * 5 + column],
    )


def test_another_grid_is_recognised(tmp_path):
    with pytest.raises(
        UserError, match=r"of another shape: fc1\.weight .*looks like LeNet5\(grid=5\), .*\(grid=12\)$"
    ):
        load(LeNet5(grid=12), tmp_path, files.state_dict("lenet5_32"))


@pytest.mark.parametrize("inputs", [401, 320])
def test_maps_that_are_not_square_are_of_another_shape(inputs, tmp_path):
    source = files.state_dict("lenet5_32") | {"fc1.weight": np.zeros((120, inputs), np.float32)}
    with pytest.raises(
        UserError, match=r"1 of another shape: fc1\.weight \(as fc1.kernel .*, the model's is \(400, 120\)\)$"
    ):
        load(LeNet5(), tmp_path, source)


def test_another_network_is_recognised(tmp_path):
    with pytest.raises(UserError, match=r"does not look like a LeNet-5"):
        load(LeNet5(), tmp_path, {"features.0.weight": np.zeros((6, 1, 5, 5), np.float32)})
