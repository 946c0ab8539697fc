"""Whose weights a file holds that does not fit, by the names of its keys."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxlab.core.types import UserError
from jaxlab.weights.families import FAMILIES
from jaxlab.weights.family import Family
from jaxlab.weights.match import renamed
from jaxlab.weights.read import read

_MOST = 0.5  # of a file's keys: from so many on names are a family's


def recognised(source: str, model: Any) -> list[str]:
    """A line where the keys are those of another family than the model's; none where they are of none or its own."""
    arrays, _ = read(source)
    known = {kind.__name__: _share(family, kind, arrays) for family in FAMILIES for kind in family.models}
    own = known.get(type(model).__name__, 0.0)
    best = max(known, key=known.__getitem__)
    if known[best] < _MOST or known[best] <= own:
        return []
    return [f"{known[best]:.0%} of the file's keys are those of {best}: give the config model={best}(...)"]


def _share(family: Family, kind: Any, arrays: Mapping[str, np.ndarray]) -> float:
    """Of the keys, those that the family's rules know."""
    try:
        layout = family.layout(kind(), dict(arrays))
    except (TypeError, UserError):  # it needs fields, or other arrays
        return 0.0
    skips = [re.compile(skip.pattern) for skip in layout.skips]
    taken = renamed(arrays, layout.rules)
    return sum(key in taken or any(skip.fullmatch(key) for skip in skips) for key in arrays) / len(arrays)
