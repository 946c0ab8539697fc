"""What a loss adds up, summed beside it: `losses.Loss.terms`."""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Array, Bool, Float

from jaxlab.metrics.reduce import total

TERM = "loss/"  # before the names of terms among scores


def terms_added(
    sums: Mapping[str, Float[Array, ""]],
    terms: Mapping[str, Float[Array, " b"]] | None,
    mask: Bool[Array, " b"] | None,
    axis_name: str | None,
) -> dict[str, Float[Array, ""]]:
    """Each term's sum with a batch added: a value a row."""
    return {name: before + total((terms or {})[name], mask, axis_name) for name, before in sums.items()}


def means_of_terms(sums: Mapping[str, Any], count: Any) -> dict[str, float]:
    """{"loss/NAME": mean} over so many samples."""
    return {f"{TERM}{name}": float(value / max(count, 1)) for name, value in sums.items()}
