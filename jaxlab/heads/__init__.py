"""Heads: from a backbone's named features to one output a target."""

from jaxlab.heads.base import Head
from jaxlab.heads.factorized import Factorized
from jaxlab.heads.gaussian import Gaussian
from jaxlab.heads.linear import Linear, LowRank
from jaxlab.heads.network import Network, build_network

__all__ = ["Factorized", "Gaussian", "Head", "Linear", "LowRank", "Network", "build_network"]
