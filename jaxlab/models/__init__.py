"""Model families: features at named layers, from images of any size."""

from jaxlab.models.base import Model
from jaxlab.models.efficientnet import EfficientNet
from jaxlab.models.resnet import ResNet
from jaxlab.models.shallow_cnn import ShallowCNN
from jaxlab.models.shufflenet import ShuffleNetV2

__all__ = ["EfficientNet", "Model", "ResNet", "ShallowCNN", "ShuffleNetV2"]
