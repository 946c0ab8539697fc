"""A bias before batch norm is taken off again: its gradient is rounding, of which Adam makes steps as long as any,
other ones on other devices. No network has such; only shapes are computed here."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from jaxlab.core.types import Mode
from jaxlab.models import EfficientNet, MobileNetV2, ResNet, ShallowCNN, ShuffleNetV2
from jaxlab.nn.norm import BatchNorm

FAMILIES = {
    "ResNet, basic": ResNet(depth=18),
    "ResNet, bottleneck": ResNet(depth=50),
    "ResNet, blurred": ResNet(depth=18, blur=True),
    "EfficientNet": EfficientNet(),
    "EfficientNet, lite": EfficientNet(variant="lite0"),
    "MobileNetV2": MobileNetV2(),
    "ShuffleNetV2": ShuffleNetV2(),
    "ShallowCNN": ShallowCNN(channels=(4, 4), kernel_sizes=(3, 3)),
}


def biased_norms(config, monkeypatch) -> tuple[int, list[str]]:
    """How many batch norms a pass of training meets, and the paths of those whose input a bias was just added to."""
    biased, seen, found = {}, [], []
    for layer in (nnx.Conv, nnx.Linear):

        def called(self, x, plain=layer.__call__):
            made = plain(self, x)
            if self.bias is not None:
                biased[id(made)] = made  # kept, so that no other takes its id
            return made

        monkeypatch.setattr(layer, "__call__", called)
    plain = BatchNorm.__call__

    def normalised(self, x, mode, **options):
        seen.append(self)
        if id(x) in biased:
            found.append(str(x))
        return plain(self, x, mode, **options)

    monkeypatch.setattr(BatchNorm, "__call__", normalised)
    mode = Mode(train=True, row_keys=jax.random.split(jax.random.key(0), 2))
    network = nnx.eval_shape(lambda: config.build(3, nnx.Rngs(params=0)))
    nnx.eval_shape(lambda net, x: net(x, mode), network, jnp.zeros((2, 64, 64, 3)))
    return len(seen), found


@pytest.mark.parametrize("family", FAMILIES)
def test_no_bias_before_batch_norm(family, monkeypatch):
    norms, biased = biased_norms(FAMILIES[family], monkeypatch)
    assert norms > 1
    assert biased == []


def test_one_would_be_found(monkeypatch):
    class Wrong(nnx.Module):
        def __init__(self, rngs):
            self.conv, self.norm = nnx.Conv(3, 4, (3, 3), rngs=rngs), BatchNorm(4)

        def __call__(self, x, mode):
            return self.norm(self.conv(x), mode)

    class Config:
        def build(self, channels, rngs):
            return Wrong(rngs)

    assert len(biased_norms(Config(), monkeypatch)[1]) == 1
