"""How the gradients of several objectives agree, as it is recorded and said."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

_NORM, _COSINE = "/gradient_norm", "/gradient_cosine"


def agreement(names: Sequence[str], norms: Any, products: Any) -> dict[str, float]:
    """{"a/gradient_norm": length, ..., "a/b/gradient_cosine": cosine, ...} of objectives, from -1 to 1.

    A cosine is NaN where either gradient is 0. norms: (t,). products: of each pair of objectives.
    """
    lengths = dict(zip(names, np.asarray(norms, np.float64).tolist(), strict=True))
    found = {f"{name}{_NORM}": length for name, length in lengths.items()}
    for (a, b), product in zip(
        combinations(names, 2), np.asarray(products, np.float64).tolist(), strict=True
    ):
        both = lengths[a] * lengths[b]
        found[f"{a}/{b}{_COSINE}"] = max(-1.0, min(1.0, product / both)) if both > 0 else math.nan
    return found


def norms_in(scores: Mapping[str, Any]) -> dict[str, Any]:
    """{objective: the length of its gradient} of an epoch's training scores."""
    return {name.removesuffix(_NORM): value for name, value in scores.items() if name.endswith(_NORM)}


def cosines_in(scores: Mapping[str, Any]) -> dict[str, Any]:
    """{"a and b": the cosine between their gradients}, likewise."""
    return {
        name.removesuffix(_COSINE).replace("/", " and "): value
        for name, value in scores.items()
        if name.endswith(_COSINE)
    }


def agreement_text(scores: Mapping[str, float]) -> str:
    """A line on the gradients in an epoch's training scores, "" where there are none; of pairs the least alike."""
    norms, cosines = norms_in(scores), cosines_in(scores)
    if not cosines:
        return ""
    lengths = ", ".join(f"{name} {value:.2g}" for name, value in norms.items())
    pair = min(cosines, key=lambda name: cosines[name] if math.isfinite(cosines[name]) else math.inf)
    of = "" if len(cosines) == 1 else f" of {pair}"
    return f"gradients: {lengths}; cosine{of} {cosines[pair]:.2f}"
