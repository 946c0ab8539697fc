"""LeNet-5 beside its reference."""

from jaxlab.models import LeNet5
from reference.networks import CLASSES, Case

CASES = [
    Case(LeNet5(classes=CLASSES), "lenet5_32", "PyTorch", (2, 32, 32, 1)),
    Case(LeNet5(grid=12, classes=CLASSES), "lenet5_63", "PyTorch", (2, 63, 63, 3)),
    Case(LeNet5(classes=CLASSES), "lenet5_66x50", "PyTorch"),
]
