"""jaxlab: from a challenge's images to a winning submission.

import jaxlab

path = jaxlab.train(experiment, "runs/mine")     # or: jaxlab train configs/quickstart.py
run = jaxlab.load(path)
values = run.predict("folder/of/images")         # (n, t) float32
"""

import importlib
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from jaxlab.moved import moved

if TYPE_CHECKING:
    from jaxlab.bundling import bundle
    from jaxlab.core.types import UserError
    from jaxlab.experiment import Ablation, Experiment, Folds, Objective, Search, Seeds, Training
    from jaxlab.runs.api import load, train
    from jaxlab.runs.run import Run
    from jaxlab.runs.soup.soup import soup
    from jaxlab.training.hosts import join
    from jaxlab.training.runtime import prepare

__version__ = version("jaxlab")
__all__ = [
    "Ablation",
    "Experiment",
    "Folds",
    "Objective",
    "Run",
    "Search",
    "Seeds",
    "Training",
    "UserError",
    "__version__",
    "bundle",
    "join",
    "load",
    "prepare",
    "soup",
    "train",
]

_HOMES = {
    "Experiment": "experiment",
    "Training": "experiment",
    "Folds": "experiment",
    "Ablation": "experiment",
    "Search": "experiment",
    "Seeds": "experiment",
    "Objective": "experiment",
    "train": "runs.api",
    "Run": "runs.run",
    "load": "runs.api",
    "bundle": "bundling",
    "soup": "runs.soup.soup",
    "UserError": "core.types",
    "prepare": "training.runtime",
    "join": "training.hosts",
}


def __getattr__(name: str) -> Any:
    """Names are imported when first used, so that `jaxlab --help` and `jaxlab inspect` start at once."""
    if name not in _HOMES:
        raise AttributeError(f"module 'jaxlab' has no attribute {name!r}")
    return getattr(importlib.import_module(f"jaxlab.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__


sys.meta_path.append(moved)
