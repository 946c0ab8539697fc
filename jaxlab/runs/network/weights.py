"""The pretrained weights that a network starts from."""

from collections.abc import Mapping
from typing import Any

from jaxlab.core import tree
from jaxlab.core.types import UserError
from jaxlab.experiment.recipe import Recipe
from jaxlab.training.ancestor import digest_now, load_weights


def pretrained(recipe: Recipe) -> tuple[tree.Flat, tree.Flat, dict[str, Any]]:
    """The backbone's parameters, batch statistics and the record of them; nothing of a network without."""
    model = recipe.experiment.model
    if getattr(model, "pretrained", None) is None:
        return {}, {}, {}
    params, stats = map(_of_backbone, recipe.shapes[1:])
    return load_weights(model, model.pretrained, params, stats, recipe.input.further_channels)  # type: ignore[attr-defined]


def changed_weights(
    earlier: Mapping[str, Any], now: Mapping[str, Any] | None, source: str | None
) -> list[str]:
    """What says that a run began with other weights: `the weights of SOURCE: old -> new`.

    earlier: the record that it keeps. now: that of the weights as they are, where they were read again; where training
    goes on from a checkpoint they are not, and a run that they came from is asked which checkpoint it would give now.
    """
    then, found = earlier.get("sha256"), (now or {}).get("sha256")
    if now == earlier and source is not None:
        try:
            then, found = earlier.get("run", earlier).get("digest", then), digest_now(source)
        except UserError:
            return []  # it is gone, and is not needed any more
    if then is None or found is None or then == found:
        return []
    return [f"the weights of {source}: {then[:12]} -> {found[:12]}"]


def _of_backbone(state: Any) -> tree.Flat:
    flat = tree.flatten(state)
    return {
        path.removeprefix("backbone."): leaf for path, leaf in flat.items() if path.startswith("backbone.")
    }
