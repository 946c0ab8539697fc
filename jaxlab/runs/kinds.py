"""The one table from a config's type to its run: how it is trained, and what is loaded."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jaxlab.core.config import Component
from jaxlab.core.types import UserError
from jaxlab.encode import Ridge
from jaxlab.experiment import Ablation, Experiment, Folds, Search, Seeds
from jaxlab.runs.ablation import AblationRun
from jaxlab.runs.folds import FoldsRun
from jaxlab.runs.network.run import NetworkRun
from jaxlab.runs.network.train import examine as examine_network
from jaxlab.runs.network.train import train
from jaxlab.runs.ridge import RidgeRun, train_ridge
from jaxlab.runs.run import Run
from jaxlab.runs.search.run import SearchRun
from jaxlab.runs.seeds import SeedsRun
from jaxlab.runs.study import train_study


@dataclass(frozen=True)
class RunKind:
    """train: (config, run directory, source=, allow_config_change=, session=) -> its path. run: what is loaded.

    examine: (config, opened data) -> their fingerprint; it refuses what does not go together, before anything is made.
        None of a study.
    shared: whether several processes may train in its directory at once, each at something else.
    joined: whether several processes may train it as one; a study's variants have to, too.
    """

    train: Callable[..., Path]
    run: type[Run]
    examine: Callable[..., str] | None = None
    shared: bool = False
    joined: bool = False


def _train_search(*given: Any, **options: Any) -> Path:
    """Optuna is imported where there is something to search."""
    from jaxlab.runs.search.train import train_search

    return train_search(*given, **options)


KINDS: Mapping[type[Component], RunKind] = {
    Experiment: RunKind(train, NetworkRun, examine_network, joined=True),
    Ridge: RunKind(train_ridge, RidgeRun, Ridge.fingerprint, joined=True),
    Folds: RunKind(partial(train_study, FoldsRun), FoldsRun, joined=True),
    Seeds: RunKind(partial(train_study, SeedsRun), SeedsRun, joined=True),
    Ablation: RunKind(partial(train_study, AblationRun), AblationRun, joined=True),
    Search: RunKind(_train_search, SearchRun, shared=True),
}


def kind_of(config: Component) -> RunKind:
    """Raises UserError for a config that is none to train."""
    for cls in type(config).__mro__:
        if cls in KINDS:
            return KINDS[cls]
    expected = " or ".join(f"{cls.__name__}(...)" for cls in KINDS)
    raise UserError(f"expected experiment = {expected}, found {type(config).__name__}")
