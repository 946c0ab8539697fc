"""Networks that share names and shapes but compute something else, told by the config.json beside their weights."""

from collections.abc import Iterable, Mapping
from typing import Any

from jaxlab.core.types import UserError


def differing(described: Mapping[str, Any], expected: Mapping[str, tuple[Any, ...]]) -> list[str]:
    """What `described` states otherwise. expected: {name: the values that compute the same}."""
    return [
        f"{name} is {described[name]!r}, expected {' or '.join(map(repr, values))}"
        for name, values in expected.items()
        if name in described and described[name] not in values
    ]


def refuse(about: str, problems: Iterable[str]) -> None:
    """Raises UserError, which starts with `about`, where there are problems."""
    if listed := "; ".join(problems):
        raise UserError(f"{about}: the config.json beside them describes another network: {listed}")
