"""The pretrained weights that a network starts from."""

from collections.abc import Mapping
from typing import Any

from jaxlab.core import tree
from jaxlab.core.types import UserError
from jaxlab.experiment.recipe import Recipe
from jaxlab.models.base import Model
from jaxlab.training.ancestor import digest_now, load_weights


def has_pretrained(model: Model) -> bool:
    """Whether some of it starts from weights."""
    return any(getattr(part, "pretrained", None) is not None for part in model.parts.values())


def pretrained(recipe: Recipe) -> tuple[tree.Flat, tree.Flat, dict[str, Any]]:
    """The backbone's parameters, batch statistics and the record of them; nothing of a network without.

    The record is that of what sees images; of other parts it has theirs by name.
    """
    params: tree.Flat = {}
    stats: tree.Flat = {}
    record: dict[str, Any] = {}
    image, *_ = recipe.experiment.model.parts
    for name, part in recipe.experiment.model.parts.items():
        if getattr(part, "pretrained", None) is None:
            continue
        prefix = f"{name}." if name else ""
        found = weights_of_part(recipe, name, part.pretrained)
        for flat, loaded in zip((params, stats), found[:2], strict=True):
            flat.update({f"{prefix}{path}": leaf for path, leaf in loaded.items()})
        record |= found[2] if name == image else {name: found[2]}
    return params, stats, record


def weights_of_part(recipe: Recipe, name: str, source: str) -> tuple[tree.Flat, tree.Flat, dict[str, Any]]:
    """As `load_weights`, of `source` for one part of the recipe's model, by its name."""
    image, *_ = recipe.experiment.model.parts
    further = recipe.input.further_channels if name == image else 0
    part = recipe.experiment.model.parts[name]
    return load_weights(part, source, *shapes_of_part(recipe, name), further)


def shapes_of_part(recipe: Recipe, name: str) -> tuple[tree.Flat, tree.Flat]:
    """Parameters and batch statistics of one part of the recipe's model, of shapes only."""
    prefix = f"backbone.{name}." if name else "backbone."
    params, stats = (_below(state, prefix) for state in recipe.shapes[1:])
    return params, stats


def changed_weights(earlier: Mapping[str, Any], now: Mapping[str, Any] | None, model: Model) -> list[str]:
    """What says that a run began with other weights: `the weights of SOURCE: old -> new`, of each part of the model.

    earlier: the record that it keeps. now: that of the weights as they are, where they were read again; where training
    goes on from a checkpoint they are not, and a run that they came from is asked which checkpoint it would give now.
    """
    image, *others = model.parts
    found = _changed(earlier, now or {}, getattr(model.parts[image], "pretrained", None))
    for name in others:
        before, after = ((one or {}).get(name) or {} for one in (earlier, now))
        found += _changed(before, after, getattr(model.parts[name], "pretrained", None))
    return found


def _changed(earlier: Mapping[str, Any], now: Mapping[str, Any], source: str | None) -> list[str]:
    then, found = earlier.get("sha256"), now.get("sha256")
    if now == earlier and source is not None:
        try:
            then, found = earlier.get("run", earlier).get("digest", then), digest_now(source)
        except UserError:
            return []  # it is gone, and is not needed any more
    if then is None or found is None or then == found:
        return []
    return [f"the weights of {source}: {then[:12]} -> {found[:12]}"]


def digests(weights: Mapping[str, Any] | None) -> dict[str, Any]:
    """What tells the weights of a record from others, wherever they lie."""
    found = {name: value for name, value in (weights or {}).items() if name == "sha256"}
    text = (weights or {}).get("text")
    return {**found, "text": text["sha256"]} if text else found


def _below(state: Any, prefix: str) -> tree.Flat:
    flat = tree.flatten(state)
    return {path.removeprefix(prefix): leaf for path, leaf in flat.items() if path.startswith(prefix)}
