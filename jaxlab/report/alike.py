"""Arrays of another tool's checkpoint beside those of a network, by the ends of their names."""

from collections.abc import Mapping
from typing import NamedTuple

Shapes = Mapping[str, tuple[int, ...]]  # by name, a.b.c
_VALUE = ".value"  # what Flax's variables end in, once they are written as a tree


class Alike(NamedTuple):
    """fitting: how many of the network's arrays are there, name and shape. problems: {kind: names, with shapes}."""

    fitting: int
    problems: dict[str, list[str]]


def alike(theirs: Shapes, ours: Shapes) -> Alike:
    """Where theirs have a prefix as `params.` or `model.params.`, it does not matter."""
    found = {name: key for name in ours if (key := _of(name, theirs)) is not None}
    shaped = {name: (theirs[key], ours[name]) for name, key in found.items()}
    other = {name: pair for name, pair in shaped.items() if pair[0] != pair[1]}
    taken = set(found.values())
    problems = {
        "of another shape": [
            f"{name} ({there}, the model's is {here})" for name, (there, here) in other.items()
        ],
        "missing from the file": [name for name in ours if name not in found],
        "not expected in the file": [key for key in theirs if key not in taken],
    }
    return Alike(len(found) - len(other), {kind: names for kind, names in problems.items() if names})


def _of(name: str, theirs: Shapes) -> str | None:
    """The key that ends in `name`; of several the shortest, which is nearest to it."""
    keys = [key for key in theirs if f".{key.removesuffix(_VALUE)}".endswith(f".{name}")]
    return min(keys, key=len, default=None)
