"""Goldens of LeNet-5, written in PyTorch here: neither torchvision, timm nor transformers has one."""

from functools import partial

import numpy as np
import torch
from golden_common import CLASSES, Job, nhwc, reference


class LeNet5(torch.nn.Module):
    def __init__(self, channels: int, grid: int):
        super().__init__()
        nn = torch.nn
        self.conv1, self.conv2 = nn.Conv2d(channels, 6, 5), nn.Conv2d(6, 16, 5)
        self.pool1, self.pool2 = nn.AvgPool2d(2), nn.AvgPool2d(2)
        self.grid = nn.AdaptiveAvgPool2d(grid)
        self.fc1, self.fc2 = nn.Linear(16 * grid * grid, 120), nn.Linear(120, 84)
        self.act1, self.act2 = nn.Tanh(), nn.Tanh()
        self.fc3 = nn.Linear(84, CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.pool1(torch.tanh(self.conv1(images)))
        x = self.pool2(torch.tanh(self.conv2(x)))
        x = torch.flatten(self.grid(x), 1)
        return self.fc3(self.act2(self.fc2(self.act1(self.fc1(x)))))


def turned(output: torch.Tensor) -> np.ndarray:
    return nhwc(output) if output.ndim == 4 else output.numpy()


def lenet(images: tuple[int, ...], grid: int) -> dict[str, np.ndarray]:
    stages = {"level1": "pool1", "level2": "pool2", "fc1": "act1", "fc2": "act2"}
    return reference(LeNet5(images[-1], grid), stages, images=images, turn=turned)


# The paper's size; the lab notes' colour images with fc1 sized by them; and a size that must be averaged.
JOBS: dict[str, Job] = {
    "lenet5_32": partial(lenet, (2, 32, 32, 1), 5),
    "lenet5_63": partial(lenet, (2, 63, 63, 3), 12),
    "lenet5_66x50": partial(lenet, (2, 66, 50, 3), 5),
}
