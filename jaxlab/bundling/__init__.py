"""One folder with all that predicting needs where there is no network: wheels, runs, weights, a notebook."""

from jaxlab.bundling.folder import bundle

__all__ = ["bundle"]
