"""Frozen encoders: their features computed once, kept on disk, and read from there."""

from jaxlab.encode.answers import TextAnswers
from jaxlab.encode.cached import CachedFeatures
from jaxlab.encode.encoder import Encoder, Loaded
from jaxlab.encode.extract import FeatureSet, features, fresh, load_all
from jaxlab.encode.image import ImageEncoder
from jaxlab.encode.resident import Resident
from jaxlab.encode.ridge import Ridge
from jaxlab.encode.text import TextEncoder

__all__ = [
    "CachedFeatures",
    "Encoder",
    "FeatureSet",
    "ImageEncoder",
    "Loaded",
    "Resident",
    "Ridge",
    "TextAnswers",
    "TextEncoder",
    "features",
    "fresh",
    "load_all",
]
