"""Pretext tasks: of an image alone, what the network sees and what it is to say; on the device, inside the step."""

from jaxlab.pretext.base import PRETEXT, Posed, Pretext, check_posed, evaluation_keys, pixels, training_keys
from jaxlab.pretext.contrast import Contrast
from jaxlab.pretext.images import Masked, Reconstruction
from jaxlab.pretext.jigsaw import Jigsaw
from jaxlab.pretext.rotation import Rotation

__all__ = [
    "PRETEXT",
    "Contrast",
    "Jigsaw",
    "Masked",
    "Posed",
    "Pretext",
    "Reconstruction",
    "Rotation",
    "check_posed",
    "evaluation_keys",
    "pixels",
    "training_keys",
]
