"""The parts of an experiment that can be switched off, and are on: what an ablation asks the worth of."""

from collections.abc import Iterator, Mapping
from typing import Any

from jaxlab.core.component import hints_of
from jaxlab.core.config import Component
from jaxlab.experiment.experiment import Experiment
from jaxlab.experiment.switched import text_of
from jaxlab.losses import WeightedSum
from jaxlab.optim import Constant

Off = dict[str, tuple[str, ...]]  # {part: the settings that switch it off}

_NOTHING = {  # {part: {field: what it is without}}
    "augment": {"augment": "()"},
    "balance": {"balance": "none"},
    "mix": {"mix": "none"},
    "channels": {"channels": "()"},
    "ema": {"training.ema": "none"},
    "average": {"training.average_from": "none"},
    "sam": {"optimizer.sam": "none"},
    "clip": {"optimizer.clip_norm": "none", "optimizer.clip_value": "none"},
    "decay": {"optimizer.weight_decay": "0.0", "optimizer.l2": "0.0"},
    "pretrained": {f"model.{part}pretrained": "none" for part in ("", "image.", "text.")},
}
_WITHIN = {  # {part: the field, wherever it is, that is 0 without}
    "dropout": "dropout",
    "label_smoothing": "label_smoothing",
    "class_weights": "class_weight_strength",
}


def parts_on(experiment: Experiment) -> Off:
    """{part: settings that switch it off}, in the order of the way through the network; of what is on alone."""
    named = {part: tuple(f"{field}={off}" for field, off in fields.items() if _is_on(experiment, field))
             for part, fields in _NOTHING.items()}  # fmt: skip
    for part, field in _WITHIN.items():
        named[part] = tuple(f"{path}=0.0" for path, value in _fields(experiment, field) if value)
    if experiment.optimizer.schedule != Constant():
        named["schedule"] = ("optimizer.schedule=Constant()",)
    return {part: settings for part, settings in {**named, **_terms(experiment)}.items() if settings}


def _is_on(experiment: Any, field: str) -> bool:
    value = experiment
    for name in field.split("."):
        value = getattr(value, name, None)
    return bool(value)


def _fields(value: Any, name: str, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of each field of that name within."""
    inside: Mapping[str, Any] = {}
    if isinstance(value, Component):
        inside = {field: getattr(value, field) for field in hints_of(type(value))}
        if isinstance(inside.get(name), float):
            yield f"{path}{name}", inside[name]
    elif isinstance(value, tuple):
        inside = {str(number): item for number, item in enumerate(value)}
    elif isinstance(value, Mapping):
        inside = value
    for field, item in inside.items():
        yield from _fields(item, name, f"{path}{field}.")


def _terms(experiment: Experiment) -> Off:
    """Each loss that is added to the first one of a weighted sum, by its name."""
    found: dict[str, list[str]] = {}
    losses = {f"objectives.{name}.loss": one.loss for name, one in experiment.objectives.items()}
    for path, loss in (losses or {"loss": experiment.loss}).items():
        if isinstance(loss, WeightedSum):
            weights = loss.weights or (1.0,) * len(loss.losses)
            for number, term in list(enumerate(loss.losses))[1:]:
                without = (*weights[:number], 0.0, *weights[number + 1 :])
                found.setdefault(type(term).__name__.lower(), []).append(f"{path}.weights={text_of(without)}")
    return {name: tuple(settings) for name, settings in found.items()}
