"""A pretrained network beside further input channels: it starts as it is without them, and must be able to use them."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from reference import files, shapes
from tiny import trained_run

from jaxlab.core import tree
from jaxlab.core.types import EVALUATION, UserError
from jaxlab.data import GaborBank, Sobel
from jaxlab.data.device.channels import compute_channels
from jaxlab.models import ResNet
from jaxlab.optim import FineTune, Freeze


@pytest.mark.slow
def test_a_pretrained_network_starts_with_the_same_features_beside_further_channels(tmp_path):
    source = files.state_dict("resnet18_torchvision")
    colours = jnp.asarray(np.random.default_rng(0).random((2, 32, 32, 3)), jnp.float32)
    further = compute_channels(colours, (Sobel(), GaborBank()))
    found = []
    for images in (colours, jnp.concatenate([colours, further], axis=-1)):
        channels = images.shape[-1]
        graphdef, *states = shapes.split(ResNet(), channels)
        loaded = files.load(ResNet(), tmp_path, dict(source), channels=channels, further=channels - 3)
        network = nnx.merge(graphdef, *map(tree.unflatten, loaded[:2], states))
        found.append(network(images, EVALUATION))
    plain, beside = found
    for layer in plain:
        np.testing.assert_allclose(plain[layer], beside[layer], rtol=1e-5, atol=1e-6, err_msg=layer)
    assert plain["pool"].std(0).max() > 1e-3, "images are told apart"


def test_further_channels_of_a_frozen_pretrained_stem_are_refused(arrays_npz, tmp_path):
    files.load(ResNet(), tmp_path, files.state_dict("resnet18_torchvision"))
    with pytest.raises(UserError, match=r"1 further channels would do nothing: .* let the first layer train"):
        trained_run(
            arrays_npz, tmp_path / "run", "head.layer=pool", model=ResNet(pretrained=str(tmp_path)),
            channels=(Sobel(),), finetune=FineTune(rules=(Freeze(through="layer1"),)),
        )  # fmt: skip
