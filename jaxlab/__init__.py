"""jaxlab: from a challenge's images to a winning submission.

import jaxlab

path = jaxlab.train(experiment, "runs/mine")     # or: jaxlab train configs/quickstart.py
run = jaxlab.load(path)
values = run.predict("folder/of/images")         # (n, t) float32
"""

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxlab.api import load, train
    from jaxlab.bundling import bundle
    from jaxlab.experiment import Experiment, Training
    from jaxlab.folds import Folds
    from jaxlab.run import Run
    from jaxlab.soups import soup
    from jaxlab.types import UserError

__version__ = version("jaxlab")
__all__ = [
    "Experiment",
    "Folds",
    "Run",
    "Training",
    "UserError",
    "__version__",
    "bundle",
    "load",
    "soup",
    "train",
]

_HOMES = {
    "Experiment": "experiment",
    "Training": "experiment",
    "Folds": "folds",
    "train": "api",
    "Run": "run",
    "load": "api",
    "bundle": "bundling",
    "soup": "soups",
    "UserError": "types",
}


def __getattr__(name: str) -> Any:
    """Names are imported when first used, so that `jaxlab --help` and `jaxlab inspect` start at once."""
    if name not in _HOMES:
        raise AttributeError(f"module 'jaxlab' has no attribute {name!r}")
    return getattr(importlib.import_module(f"jaxlab.{_HOMES[name]}"), name)
