"""A family of models with pretrained weights: all that the rest of jaxlab asks of it, in one entry of families.py."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxlab.core.config import Component
from jaxlab.weights.match import KeyLayout

KeyedArrays = dict[str, np.ndarray]


def _no_hint(config: Any, arrays: KeyedArrays, found: KeyLayout) -> str:
    return ""


def _nothing_unknown(config: Any, found: KeyLayout, described: bool) -> str:
    return ""


def _nothing_to_check(config: Any, metadata: Mapping[str, Any], about: str) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class Family:
    """Configs whose weights follow the same rules.

    name: of its goldens: tests/reference has its cases, tools/golden_<name>.py makes what they are held to.
    models: the classes of its configs.
    layout: (config, arrays of a file) -> how this file names them. It may join arrays in place. Raises UserError where
        the layout needs another config.
    stem: the path of the kernel that sees the image; None of a family that sees none.
    classifier: the path of the last linear layer, which models with classes have; None where none does.
    hint: (config, arrays, layout) -> what the file seems to hold where it does not fit, or "".
    unknown: (config, layout, whether a config.json lies beside the weights) -> what names and shapes cannot tell of how
        the network is computed, or "".
    check_metadata: (config, {file name: content} of the JSON files beside the weights, start of the message): raises
        UserError for what has the family's names and shapes but computes something else.
    """

    name: str
    models: tuple[type[Component], ...]
    layout: Callable[[Any, KeyedArrays], KeyLayout]
    stem: str | None
    classifier: str | None
    hint: Callable[[Any, KeyedArrays, KeyLayout], str] = _no_hint
    unknown: Callable[[Any, KeyLayout, bool], str] = _nothing_unknown
    check_metadata: Callable[[Any, Mapping[str, Any], str], None] = _nothing_to_check
