"""The orders in which names may have been taken by mistake, and how values would then lie under the wrong names."""

import re

import numpy as np

Rearrangement = tuple[np.ndarray, np.ndarray]


def orders(names: np.ndarray, place: np.ndarray) -> dict[str, np.ndarray]:
    """Description -> positions (n,) of the names in that order, the first description of each order that differs.

    names: in the solution's order. place: where each lies in the predictions.
    """
    natural = sorted(range(len(names)), key=lambda k: _natural(str(names[k])))
    found: dict[str, np.ndarray] = {
        "the solution's order": np.arange(len(names)),
        "the predictions' order": np.argsort(place),
        "the order as text": np.argsort(names, kind="stable"),
        "the order as numbers": np.asarray(natural),
    }
    distinct: dict[bytes, str] = {}
    for name, order in found.items():
        distinct.setdefault(order.tobytes(), name)
    return {name: found[name] for name in distinct.values()}


def rearrangements(names: np.ndarray, place: np.ndarray, what: str) -> dict[str, Rearrangement]:
    """Description -> (under, of): values that stand under the names at `under` are those of the names at `of`.

    One order taken for another, each order off by one, and each back to front. what: the names' word ("ids").
    """
    known = orders(names, place)
    found = {
        f"{what} in {one}, values in {other}": (under, of)
        for one, under in known.items()
        for other, of in known.items()
        if one != other
    }
    for name, order in known.items():
        found[f"{what} one early, in {name}"] = (order, np.roll(order, -1))
        found[f"{what} one late, in {name}"] = (order, np.roll(order, 1))
        found[f"{what} back to front, in {name}"] = (order, order[::-1])
    return found


def _natural(name: str) -> tuple[list[str], list[int]]:
    """Sorts img2 before img10: by what is no digit, then by the numbers."""
    return re.split(r"[0-9]+", name), [int(digits) for digits in re.findall(r"[0-9]+", name)]
