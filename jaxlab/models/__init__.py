"""Model families: features at named layers, from images of any size, or from text."""

from jaxlab.models.base import Model
from jaxlab.models.bert import Bert
from jaxlab.models.efficientnet import EfficientNet
from jaxlab.models.features import Features
from jaxlab.models.fusion import Fusion
from jaxlab.models.image_and_text import ImageAndText
from jaxlab.models.lenet import LeNet5
from jaxlab.models.mobilenetv2 import MobileNetV2
from jaxlab.models.resnet import ResNet
from jaxlab.models.shallow_cnn import ShallowCNN
from jaxlab.models.shufflenet import ShuffleNetV2
from jaxlab.models.text import BagOfWords, TextModel
from jaxlab.models.vit import DeiT, DINOv2, ViT

__all__ = [
    "BagOfWords",
    "Bert",
    "DINOv2",
    "DeiT",
    "EfficientNet",
    "Features",
    "Fusion",
    "ImageAndText",
    "LeNet5",
    "MobileNetV2",
    "Model",
    "ResNet",
    "ShallowCNN",
    "ShuffleNetV2",
    "TextModel",
    "ViT",
]
