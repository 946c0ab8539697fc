"""The tree of a checkpoint that another tool wrote with Orbax, from its metadata."""

from pathlib import Path
from typing import Any

from jaxlab.core.types import UserError
from jaxlab.report.leaves import described, without_devices
from jaxlab.training.arrays import quiet

Leaves = dict[str, dict[str, dict[str, Any]]]


def tree_of(items: tuple[tuple[str, Path], ...]) -> Leaves:
    """{field: {path: {"shape", "dtype", "bytes"}}}; fields are the tree's top level. No array is read.

    items: (name, folder); names lead the paths where there are several. Raises UserError for damaged metadata.
    """
    without_devices()
    leaves: Leaves = {}
    for name, folder in items:
        for path, leaf in _leaves(folder):
            field, _, rest = ".".join((name, *path) if len(items) > 1 else path).partition(".")
            leaves.setdefault(field, {})[rest or "value"] = leaf
    return leaves


def _leaves(folder: Path) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    import jax
    import orbax.checkpoint as ocp

    try:
        with quiet(), ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as checkpointer:
            tree = checkpointer.metadata(folder.absolute()).item_metadata.tree
    except Exception as error:  # of Orbax and its storage, by what is damaged
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{folder}: Orbax cannot read its metadata ({why:.200})") from error
    found, _ = jax.tree_util.tree_flatten_with_path(tree)
    return [
        (tuple(jax.tree_util.keystr((e,), simple=True) for e in path), _leaf(leaf)) for path, leaf in found
    ]


def _leaf(leaf: Any) -> dict[str, Any]:
    """Strings have neither shape nor dtype."""
    shape, dtype = getattr(leaf, "shape", None), getattr(leaf, "dtype", None)
    return described(list(shape or ()), "string" if dtype is None else str(dtype))
