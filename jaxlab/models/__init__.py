"""Model families: features at named layers, from images of any size."""

from jaxlab.models.base import Model
from jaxlab.models.resnet import ResNet
from jaxlab.models.shallow_cnn import ShallowCNN

__all__ = ["Model", "ResNet", "ShallowCNN"]
