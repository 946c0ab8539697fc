"""Parameters that never train: what a network is given from elsewhere, such as embeddings of its answers."""

from typing import Any

from flax import nnx


class Fixed(nnx.Param):
    """Stored, digested and averaged as any parameter, but without gradient and optimizer state."""


def fixed_paths(params: nnx.State) -> frozenset[str]:
    """The paths of those among a network's parameters."""
    return frozenset(".".join(map(str, path)) for path, leaf in nnx.to_flat_state(params) if _is_fixed(leaf))


def _is_fixed(leaf: Any) -> bool:
    return issubclass(getattr(leaf, "type", type(leaf)), Fixed)
