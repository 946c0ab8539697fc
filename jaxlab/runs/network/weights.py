"""The pretrained weights that a network starts from."""

from typing import Any

from jaxlab.core import tree
from jaxlab.experiment.recipe import Recipe
from jaxlab.weights import load_pretrained


def pretrained(recipe: Recipe) -> tuple[tree.Flat, tree.Flat, dict[str, Any]]:
    """The backbone's parameters, batch statistics and the record of them; nothing of a network without."""
    model = recipe.experiment.model
    if getattr(model, "pretrained", None) is None:
        return {}, {}, {}
    params, stats = map(_of_backbone, recipe.shapes[1:])
    return load_pretrained(model, model.pretrained, params, stats, recipe.input.further_channels)  # type: ignore[attr-defined]


def _of_backbone(state: Any) -> tree.Flat:
    flat = tree.flatten(state)
    return {
        path.removeprefix("backbone."): leaf for path, leaf in flat.items() if path.startswith("backbone.")
    }
