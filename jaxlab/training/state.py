"""Everything that a step changes, as one pytree; and how it lies in a checkpoint."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from jaxlab.core.tree import Flat
from jaxlab.core.types import UserError
from jaxlab.metrics import SumsByObjective
from jaxlab.training.hosts.arrays import fetched

# Sums that earlier versions did not have, after their objective's name.
_LATER = re.compile(r"(\w+)\.(?:terms\..+|earned|asked)")


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainState:
    """step: updates made. params, stats: flat, by dotted path. ema: as params, or None.

    constants: what data gave the model (targets' mean and scale), never trained.
    rate_scale: factor of the schedule's learning rate, lowered on a plateau.
    sums: this epoch's training scores, by objective.
    """

    step: Int[Array, ""]
    params: Flat
    stats: Flat
    constants: Flat
    opt_state: Any
    ema: Flat | None
    rate_scale: Float[Array, ""]
    sums: SumsByObjective

    @property
    def variables(self) -> "Variables":
        """What a forward pass in evaluation needs: averaged parameters where they are kept."""
        return Variables(self.params if self.ema is None else self.ema, self.stats, self.constants)

    def to_arrays(self) -> dict[str, dict[str, np.ndarray]]:
        """{field: {path: host array}}: what a checkpoint stores, the same for any number of devices."""
        host = fetched(self)
        return {f.name: _named(getattr(host, f.name)) for f in fields(self)}

    def from_arrays(self, stored: dict[str, dict[str, np.ndarray]]) -> Self:
        """A state shaped as this one that holds `stored`. Raises UserError naming every leaf that differs."""
        problems: list[str] = []
        sums = _in_units(_by_objective(stored.get("sums", {}), list(self.sums)))
        stored = {**stored, "sums": _with_later(sums, _named(self.sums))}
        new = {
            f.name: _restored(f.name, getattr(self, f.name), stored.get(f.name, {}), problems)
            for f in fields(self)
        }
        if problems:
            shown = "; ".join(problems[:8]) + (f"; and {len(problems) - 8} more" if len(problems) > 8 else "")
            raise UserError(
                f"the checkpoint does not fit this experiment's model, optimizer and finetune: {shown}"
            )
        return replace(self, **new)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Variables:
    """Parameters, batch statistics and constants: the arguments of a forward pass."""

    params: Flat
    stats: Flat
    constants: Flat


def norms(statistics: Iterable[str]) -> frozenset[str]:
    """The paths of the batch norms that `statistics`, by their paths, belong to."""
    return frozenset(path.rpartition(".")[0] for path in statistics)


def _by_objective(sums: dict[str, np.ndarray], objectives: list[str]) -> dict[str, np.ndarray]:
    """Sums under their objective's name, which those of jaxlab 0.1 lack: it knew one objective."""
    if len(objectives) == 1 and not any("." in name for name in sums):
        return {f"{objectives[0]}.{name}": leaf for name, leaf in sums.items()}
    return sums


def _in_units(sums: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """With the units of scores' sums, of which those without are 2^0."""
    squares = {name.removesuffix("xx"): leaf for name, leaf in sums.items() if name.endswith(".xx")}
    units = {
        f"{of}unit_{side}": np.zeros(leaf.shape, np.int32) for of, leaf in squares.items() for side in "xy"
    }
    return {**units, **sums}


def _with_later(sums: dict[str, np.ndarray], wanted: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """With the terms of losses, and what answers have earned, which older checkpoints lack: of an epoch under way they
    are not known, NaN.
    """
    later = {name: found[1] for name in wanted if (found := _LATER.fullmatch(name))}
    begun = {of: np.any(sums.get(f"{of}.count", 0)) for of in later.values()}
    return {
        **{
            name: np.full(wanted[name].shape, np.nan if begun[of] else 0, np.float32)
            for name, of in later.items()
        },
        **sums,
    }


def _named(tree: Any) -> dict[str, np.ndarray]:
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {_name(path): np.asarray(leaf) for path, leaf in paths}


def _name(path: tuple) -> str:
    return ".".join(jax.tree_util.keystr((entry,), simple=True) for entry in path) or "value"


def _restored(field: str, template: Any, stored: dict[str, np.ndarray], problems: list[str]) -> Any:
    paths, treedef = jax.tree_util.tree_flatten_with_path(template)
    wanted = {_name(path): leaf for path, leaf in paths}
    problems += [f"{field}.{name} is not in the model" for name in stored.keys() - wanted.keys()]
    leaves = []
    for name, leaf in wanted.items():
        if name not in stored:
            problems.append(f"{field}.{name} is missing")
        elif np.shape(stored[name]) != leaf.shape:
            problems.append(f"{field}.{name} is {np.shape(stored[name])}, the model's {leaf.shape}")
        else:
            leaves.append(np.asarray(stored[name], leaf.dtype))
    return jax.tree_util.tree_unflatten(treedef, leaves) if len(leaves) == len(wanted) else template
