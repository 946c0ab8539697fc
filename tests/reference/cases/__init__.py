"""Every family in every layout and size that a golden was made of."""

from reference.cases import efficientnet, lenet, mobilenetv2, resnet, shufflenet, vit

CASES = [
    *efficientnet.CASES,
    *lenet.CASES,
    *mobilenetv2.CASES,
    *resnet.CASES,
    *shufflenet.CASES,
    *vit.CASES,
]
