"""Configs as JSON, with stable type names: whole, and of what an experiment is alone."""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from jaxlab.core.component import Component, hints_of, is_location
from jaxlab.core.mistyped import nearest
from jaxlab.core.types import UserError

LATER = {
    "later": True
}  # metadata of a field that earlier versions did not know, so that its default changes no hash

DERIVED = {
    "derived": True
}  # of a field that follows from what a run holds: no part of what a config is, or of its JSON

AMOUNT = {"amount": True}  # of a field that says how many: more is more of the same, and no other config


def to_json(value: Any) -> Any:
    """Components as `{"type": name, field: value}`, tuples as lists; a field that came LATER only where it is set."""
    if isinstance(value, Component):
        fields = {name: to_json(item) for name, _, item in _written(value)}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, Mapping):
        return {name: to_json(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    return value


def _written(config: Component) -> Iterator[tuple[str, Any, Any]]:
    """(name, hint, value) of the fields that JSON has."""
    hints = hints_of(type(config))
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        known = field.metadata == LATER and value == _default(field)
        if not known and field.metadata != DERIVED:
            yield field.name, hints[field.name], value


def _default(field: dataclasses.Field[Any]) -> Any:
    made = field.default_factory
    return field.default if made is dataclasses.MISSING else made()


def from_json(data: Any) -> Any:
    """The inverse of `to_json`. Raises UserError for a type or field that this version does not know."""
    if isinstance(data, list):
        return tuple(from_json(item) for item in data)
    if not isinstance(data, Mapping):
        return data
    if "type" not in data:
        return {name: from_json(item) for name, item in data.items()}
    cls = Component.types.get(data["type"]) if isinstance(data["type"], str) else None
    if cls is None:
        raise UserError(
            f"config names a component {data['type']!r} that is not defined; "
            f"{nearest(str(data['type']), Component.types)}"
        )
    fields = {name: from_json(item) for name, item in data.items() if name != "type"}
    if unknown := fields.keys() - hints_of(cls).keys():
        raise UserError(
            f"config: {cls.__name__} has no field {sorted(unknown)}; {nearest(min(unknown), hints_of(cls))}"
        )
    return cls(**fields)


def identity(value: Any) -> Any:
    """The JSON of what an experiment *is*: as `to_json`, but of a location only whether it is set.

    Parts that say how it is used afterwards, and how many there are of its kind, are left out.
    """
    if isinstance(value, Component):
        fields = {}
        amounts = {field.name for field in dataclasses.fields(value) if field.metadata == AMOUNT}
        for name, hint, item in _written(value):
            if name in amounts or (isinstance(item, Component) and item.afterwards):
                continue
            fields[name] = item is not None if is_location(hint) else identity(item)
        return {"type": type(value).__name__, **fields}
    if isinstance(value, Mapping):
        return {name: identity(item) for name, item in value.items()}
    return [identity(item) for item in value] if isinstance(value, tuple) else value


def short_hash(config: Component) -> str:
    """Eight hexadecimal digits of the SHA-256 of the experiment's identity."""
    text = json.dumps(identity(config), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """`field: old -> new` for each place where two identities differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = list(dict.fromkeys([*old, *new]))
        found = [differences(old.get(n), new.get(n), f"{path}.{n}" if path else n) for n in names]
        if _named_parts(old) and old.keys() == new.keys() and list(old) != list(new):  # the first counts most
            found.append([f"{path}: order {', '.join(old)} -> {', '.join(new)}"])
        return [line for lines in found for line in lines]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [line for k, (a, b) in pairs for line in differences(a, b, f"{path}.{k}")]
    return [] if old == new else [f"{path}: {json.dumps(old)} -> {json.dumps(new)}"]


def _named_parts(data: Mapping[str, Any]) -> bool:
    """Whether this is the JSON of a mapping of components."""
    return "type" not in data and all(isinstance(part, dict) and "type" in part for part in data.values())
