"""PyTorch's side of a step, eager and channels_last on all cores: the same networks, batch and optimizer.

Run by bench.py under an interpreter that has torch (and timm and torchvision, for the networks that are not
written here), with a case as JSON: model, size, batch, targets.
The images are normalised floats already, where jaxlab's step starts from uint8.
"""

import json
import sys
from functools import partial
from typing import Any

import torch
from bench_process import cores, serve, timed
from golden_common import declare_missing_ops
from torch import nn


def normed(inputs: int, outputs: int, size: int, stride: int = 1) -> list[nn.Module]:
    """A convolution without bias and its batch norm."""
    conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
    return [conv, nn.BatchNorm2d(outputs)]


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut (He et al. 2015)."""

    def __init__(self, inputs: int, width: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(
            *normed(inputs, width, 3, stride), nn.ReLU(inplace=True), *normed(width, width, 3)
        )
        same = stride == 1 and inputs == width
        self.shortcut = nn.Identity() if same else nn.Sequential(*normed(inputs, width, 1, stride))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet18(targets: int, size: int) -> nn.Module:
    """He et al. 2015, of any `size`."""
    layers: list[nn.Module] = [*normed(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for width in (64, 128, 256, 512):
        layers += [BasicBlock(inputs, width, 1 if width == 64 else 2), BasicBlock(width, width, 1)]
        inputs = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, targets))


def shallow_cnn(targets: int, size: int) -> nn.Module:
    """As configs/shallow_cnn.py; the parameter counts of both sides are compared by bench.py."""
    layers: list[nn.Module] = []
    for inputs, width, kernel in ((3, 32, 7), (32, 64, 3)):
        layers += [*normed(inputs, width, kernel), nn.GELU(), nn.MaxPool2d(3, 2, 1), nn.Dropout(0.2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.5), nn.Linear(64 * (size // 4) ** 2, targets))


TIMM = {
    "resnet50": "resnet50",
    "efficientnet_lite0": "efficientnet_lite0",
    "vit_tiny": "vit_tiny_patch16_224",
}


def network(model: str, targets: int, size: int, **_: Any) -> nn.Module:
    """Written here, or of timm or torchvision with a linear layer to the targets."""
    written = {"resnet18": resnet18, "shallow_cnn": shallow_cnn}
    if model in written:
        return written[model](targets, size)
    declare_missing_ops()
    if model in TIMM:
        import timm

        any_size = {"dynamic_img_size": True} if model == "vit_tiny" else {}
        return timm.create_model(TIMM[model], num_classes=targets, **any_size)
    import torchvision

    return torchvision.models.shufflenet_v2_x1_0(num_classes=targets)


class Steps:
    """A train step and a forward pass, and what they work on."""

    def __init__(self, case: dict[str, Any]):
        torch.manual_seed(0)
        self.case = case
        outputs = case["targets"] + case["classes"]
        self.model = network(case["model"], outputs, case["size"]).to(memory_format=torch.channels_last)
        images = torch.randn(case["batch"], 3, case["size"], case["size"])
        self.images = images.to(memory_format=torch.channels_last)
        self.target = torch.randn(case["batch"], case["targets"])
        self.label = torch.arange(case["batch"]) % max(case["classes"], 1)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4)

    def train(self, count: int) -> None:
        self.model.train()
        for _ in range(count):
            self._backward()
            if self.case["step"] == "sam":
                self._sharpness_aware()
            self.optimizer.step()

    def _backward(self) -> None:
        self.optimizer.zero_grad()
        outputs, targets = self.model(self.images), self.case["targets"]
        loss = nn.functional.mse_loss(outputs[:, :targets], self.target)
        if self.case["classes"]:
            loss = loss + nn.functional.cross_entropy(outputs[:, targets:], self.label)
        loss.backward()

    def _sharpness_aware(self) -> None:
        """The gradient at the worst neighbour (Foret et al. 2021); running statistics are those of the first pass."""
        norms = [module for module in self.model.modules() if isinstance(module, nn.BatchNorm2d)]
        before = [norm.momentum for norm in norms]
        with torch.no_grad():
            trained = list(self.model.parameters())
            length = torch.stack([p.grad.norm() for p in trained]).norm()
            climbs = [0.05 / length * p.grad for p in trained]
            torch._foreach_add_(trained, climbs)
        for norm in norms:
            norm.momentum = 0.0
        self._backward()
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum
        with torch.no_grad():
            torch._foreach_sub_(trained, climbs)

    def forward(self, count: int) -> None:
        self.model.eval()
        with torch.inference_mode():
            for _ in range(count):
                self.model(self.images)


def main() -> None:
    torch.set_num_threads(cores())
    steps = Steps(json.loads(sys.argv[1]))
    actions = {"train": steps.train, "forward": steps.forward}
    first = {name: timed(partial(action, 1))["seconds"] for name, action in actions.items()}
    how = f"eager, channels_last, {torch.get_num_threads()} threads"
    count = sum(parameter.numel() for parameter in steps.model.parameters())
    serve({"version": torch.__version__, "how": how, "parameters": count, "first_call": first}, actions)


if __name__ == "__main__":
    main()
