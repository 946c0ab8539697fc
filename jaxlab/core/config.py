"""Experiments as Python: components with typed fields, overrides by name, JSON with stable type names."""

from jaxlab.core.component import Component, Location
from jaxlab.core.config_files import load_file
from jaxlab.core.config_json import (
    AMOUNT,
    DERIVED,
    LATER,
    differences,
    from_json,
    identity,
    short_hash,
    to_json,
)
from jaxlab.core.config_parts import anchored, components, locations
from jaxlab.core.overrides import assigned, override, read_at, value_at

__all__ = [
    "AMOUNT",
    "DERIVED",
    "LATER",
    "Component",
    "Location",
    "anchored",
    "assigned",
    "components",
    "differences",
    "from_json",
    "identity",
    "load_file",
    "locations",
    "override",
    "read_at",
    "short_hash",
    "to_json",
    "value_at",
]
