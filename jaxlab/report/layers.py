"""A flat dict of leaves as an indented tree with a subtotal for each module."""

import itertools
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

Leaf = dict[str, Any]


class TreeRow(NamedTuple):
    """One line: a module with the leaves below it, or one leaf. name: its path below the line above it."""

    depth: int
    name: str
    leaves: list[Leaf]
    is_leaf: bool


def rows(leaves: dict[str, Leaf], depth: int = 0) -> Iterator[TreeRow]:
    """Modules before what they hold, in the paths' order with numbers counted (2 before 10).

    A module that holds a single thing shares its line.
    """
    parts = [(tuple(path.split(".")), leaf) for path, leaf in leaves.items()]
    yield from _rows(sorted(parts, key=lambda item: natural(item[0])), depth)


def _rows(items: list[tuple[tuple[str, ...], Leaf]], depth: int) -> Iterator[TreeRow]:
    for _, group in itertools.groupby(items, key=lambda item: item[0][0]):
        members = list(group)
        if len(members) == 1:
            yield TreeRow(depth, ".".join(members[0][0]), [members[0][1]], True)
            continue
        columns = zip(*(path for path, _ in members), strict=False)
        shared = [names[0] for names in itertools.takewhile(lambda names: len(set(names)) == 1, columns)]
        yield TreeRow(depth, ".".join(shared), [leaf for _, leaf in members], False)
        yield from _rows([(path[len(shared) :] or ("value",), leaf) for path, leaf in members], depth + 1)


def natural(path: tuple[str, ...]) -> list[list[tuple[int, str]]]:
    """Digits compare as numbers, before letters."""
    return [
        [
            (int(piece), "") if piece.isdecimal() else (1 << 62, piece)
            for piece in re.split(r"(\d+)", part)
            if piece
        ]
        for part in path
    ]
