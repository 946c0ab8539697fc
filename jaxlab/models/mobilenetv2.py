"""MobileNetV2 (Sandler et al. 2018)."""

from dataclasses import dataclass

import jax
from flax import nnx

from jaxlab.core.config import Location
from jaxlab.core.types import UserError
from jaxlab.models.base import Model
from jaxlab.models.mbconv import Convention, MBConvNet, MBConvSpec, Style, round_channels

STAGES = (  # blocks, stride of the first, expansion, output channels
    (1, 1, 1, 16),
    (2, 2, 6, 24),
    (3, 2, 6, 32),
    (4, 2, 6, 64),
    (3, 1, 6, 96),
    (3, 2, 6, 160),
    (1, 1, 6, 320),
)
STEM, HEAD = 32, 1280


@dataclass(frozen=True, kw_only=True)
class MobileNetV2(Model):
    """width: multiplies the channels; the head keeps its 1280 below 1.

    convention: "pytorch" pads both sides alike and has batch norm's epsilon 1e-5 (torchvision, timm); "tensorflow" pads
        as TensorFlow's SAME, epsilon 1e-3 (transformers). Weights of one are wrong in the other.
    drop_path: stochastic depth of the last block, rising to it linearly.
    classes: 0 for the backbone alone; else the model also has `fc`, and "logits" among its features.
    pretrained: a run directory, a weight file, a folder of one, or a hub id `owner/name`.
    """

    width: float = 1.0
    convention: Convention = "pytorch"
    drop_path: float = 0.0
    classes: int = 0
    pretrained: Location | None = None

    def check(self) -> None:
        if not 0 < self.width < 100:
            raise UserError(
                f"MobileNetV2.width: expected a factor above 0 (and below 100), found {self.width}"
            )
        if not 0 <= self.drop_path < 1:
            raise UserError(f"MobileNetV2.drop_path: expected a rate in [0, 1), found {self.drop_path}")
        if self.classes < 0:
            raise UserError(f"MobileNetV2.classes: expected 0 (no classifier) or more, found {self.classes}")

    def build(self, in_channels: int, rngs: nnx.Rngs) -> MBConvNet:
        """A module for (b, h, w, in_channels) images, with new parameters."""
        return MBConvNet(
            [block for stage in stages(self) for block in stage],
            Style(jax.nn.relu6, self.convention),
            in_channels=in_channels,
            head=round_channels(HEAD * max(1.0, self.width)),
            classes=self.classes,
            drop_path=self.drop_path,
            rngs=rngs,
        )


def stages(config: MobileNetV2) -> list[list[MBConvSpec]]:
    """The blocks of each stage."""
    channels = round_channels(STEM * config.width)
    found = []
    for count, stride, expansion, out_channels in STAGES:
        wider = round_channels(out_channels * config.width)
        first = MBConvSpec(channels, wider, 3, stride, expansion)
        found.append([first, *[MBConvSpec(wider, wider, 3, 1, expansion)] * (count - 1)])
        channels = wider
    return found
