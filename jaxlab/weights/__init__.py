"""Pretrained weights: read from files and hubs, matched both ways, turned into JAX's shapes."""

from jaxlab.weights.families import FAMILIES, family_of
from jaxlab.weights.family import Family
from jaxlab.weights.load import load_pretrained, settled, stem_of

__all__ = ["FAMILIES", "Family", "family_of", "load_pretrained", "settled", "stem_of"]
