"""Heads: from a backbone's named features to one output a target."""

from jaxlab.heads.answers import AnswerVectors, RandomVectors
from jaxlab.heads.attention import Attention
from jaxlab.heads.base import Head
from jaxlab.heads.combine import ROI, PerROI, Sum
from jaxlab.heads.cosine import CosineAnswers
from jaxlab.heads.decoder import Decoder
from jaxlab.heads.factorized import Factorized
from jaxlab.heads.gate import AnswerGate
from jaxlab.heads.gaussian import Gaussian
from jaxlab.heads.joint import Joint
from jaxlab.heads.linear import Linear, LowRank
from jaxlab.heads.network import Network, build_network
from jaxlab.heads.per_subject import PerSubject
from jaxlab.heads.projection import Projection
from jaxlab.heads.rates import Rates
from jaxlab.heads.retina_map import RetinaMap
from jaxlab.heads.shared import Shared
from jaxlab.heads.squashed import Squashed

__all__ = [
    "ROI",
    "AnswerGate",
    "AnswerVectors",
    "Attention",
    "CosineAnswers",
    "Decoder",
    "Factorized",
    "Gaussian",
    "Head",
    "Joint",
    "Linear",
    "LowRank",
    "Network",
    "PerROI",
    "PerSubject",
    "Projection",
    "RandomVectors",
    "Rates",
    "RetinaMap",
    "Shared",
    "Squashed",
    "Sum",
    "build_network",
]
