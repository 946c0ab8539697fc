"""Which of a file's tensors are the network's: those below one prefix, such as `encoder_q.` or `state_dict_ema.`.

Trainers wrap networks: Lightning (`model.`), MoCo (`encoder_q.`), torch's averages (`module.`), dicts of several state
dicts. Which prefix it is need not be known: it is the one below which all that the network has is found.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxlab.core.types import UserError
from jaxlab.weights.match import KeyLayout, renamed

AVERAGED = re.compile(r"(^|[._])(ema|swa|avg|average|averaged)([._]|$)|(^|[._])model_?ema", re.IGNORECASE)


@dataclass(frozen=True)
class Part:
    """prefix: with its last dot. arrays: those below it, without it. left: how many there are besides.

    note: what a user should know about the choice.
    """

    prefix: str
    arrays: dict[str, np.ndarray]
    left: int
    note: str


@dataclass(frozen=True)
class _Fit:
    """How many of the network's leaves the keys below a prefix fill, and how many of these keys no rule knows."""

    prefix: str
    filled: int
    unknown: int


def find_part(
    arrays: Mapping[str, np.ndarray],
    leaves: Iterable[str],
    layout_of: Callable[[dict[str, np.ndarray]], KeyLayout],
    source: str,
) -> Part | None:
    """The part that holds the whole network, else the one with most of it; None where no prefix is better than none.

    leaves: paths of the network's parameters and statistics. layout_of: how a file of these arrays names them.
    Raises UserError where several parts hold it, but for an average beside what it is the average of: as timm does,
    the average is taken.
    """
    wanted = set(leaves)
    fits = [_fit(prefix, arrays, wanted, layout_of) for prefix in _prefixes(arrays, len(wanted) // 2)]
    whole = sorted(
        (fit for fit in fits if fit.filled == len(wanted)), key=lambda fit: (fit.unknown, len(fit.prefix))
    )
    if whole:
        return _chosen(arrays, _disjoint(whole), source)
    best = max(
        fits, key=lambda fit: (fit.filled, -len(fit.prefix))
    )  # the whole file, unless a part fills more
    return _part(arrays, best.prefix, "") if best.prefix and best.filled > len(wanted) // 2 else None


def below(arrays: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """{key without the prefix: value} of the keys that begin with it."""
    return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}


def shared_prefix(keys: Iterable[str]) -> str:
    """The components that all of several keys begin with, each with its dot; "" where there are none."""
    split = [key.split(".")[:-1] for key in keys]
    if len(split) < 2:
        return ""
    shared = []
    for components in zip(*split, strict=False):
        if len(set(components)) > 1:
            break
        shared.append(components[0])
    return "".join(f"{component}." for component in shared)


def _prefixes(keys: Iterable[str], least: int) -> list[str]:
    """ "", and what more than `least` keys begin with, up to a dot."""
    counts: Counter[str] = Counter()
    for key in keys:
        counts.update(key[: match.end()] for match in re.finditer(r"\.", key))
    return ["", *(prefix for prefix, count in counts.items() if count > least)]


def _fit(
    prefix: str,
    arrays: Mapping[str, np.ndarray],
    wanted: set[str],
    layout_of: Callable[[dict[str, np.ndarray]], KeyLayout],
) -> _Fit:
    inside = below(arrays, prefix)
    layout = layout_of(inside)
    paths = renamed(inside, layout.rules)
    skips = [re.compile(skip.pattern) for skip in layout.skips]
    unknown = sum(key not in paths and not any(skip.fullmatch(key) for skip in skips) for key in inside)
    return _Fit(prefix, len(wanted & set(paths.values())), unknown)


def _disjoint(whole: list[_Fit]) -> list[str]:
    """The best, and those that lie neither in it nor around it nor in one another."""
    taken: list[str] = []
    for fit in whole:
        if not any(fit.prefix.startswith(other) or other.startswith(fit.prefix) for other in taken):
            taken.append(fit.prefix)
    return taken


def _chosen(arrays: Mapping[str, np.ndarray], prefixes: list[str], source: str) -> Part | None:
    if len(prefixes) == 1:
        (prefix,) = prefixes
        return _part(arrays, prefix, _said(arrays, prefix)) if prefix else None
    names = [prefix[:-1] for prefix in prefixes]
    averaged = [name for name in names if AVERAGED.search(name)]
    others = [name for name in names if name not in averaged]
    if len(averaged) == len(others) == 1:
        note = f"the averaged ones, {averaged[0]}, of two sets in the file; {source}#{others[0]} takes the others"
        return _part(arrays, f"{averaged[0]}.", note)
    raise UserError(
        f"weights {source}: expected one network of this kind, found {len(names)}: {', '.join(names)}. Say which: "
        f"pretrained={f'{source}#{names[0]}'!r}"
    )


def _said(arrays: Mapping[str, np.ndarray], prefix: str) -> str:
    """Of the only part that holds the network: which it is, and what averages there are besides, or raw weights."""
    others = [key for key in arrays if not key.startswith(prefix)]
    inside = below(arrays, prefix)
    if AVERAGED.search(prefix[:-1]) and inside.keys() <= set(others):
        return (
            f"the averaged ones, {prefix[:-1]}, of two sets in the file; a file with those alone whose keys have no "
            "prefix gives the others"
        )
    said = f"from the part {prefix[:-1]} of the file"
    averages = [] if AVERAGED.search(prefix[:-1]) else [key for key in others if _is_average(key)]
    if not averages:
        return said
    return (
        f"{said}; {len(averages)} keys as {averages[0]} are averaged weights, whose names are not the network's; "
        "they are left out (a file with an averaged model's state_dict gives these)"
    )


def _is_average(key: str) -> bool:
    name = key.rpartition(".")[2]
    return AVERAGED.search(key) is not None and not name.startswith(("n_", "num_", "decay"))


def _part(arrays: Mapping[str, np.ndarray], prefix: str, note: str) -> Part:
    inside = below(arrays, prefix)
    return Part(prefix, inside, len(arrays) - len(inside), note)
