"""Two-way matching of a weight file's keys with a model's leaves: nothing is loaded in part without a word."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jax import dtypes

from jaxlab.core.tree import Flat
from jaxlab.core.types import UserError

Array = np.ndarray


@dataclass(frozen=True)
class KeyRule:
    """Source keys that match `pattern` in full fill the leaf `target`, in which \\1 is the pattern's first group."""

    pattern: str
    target: str
    transform: Callable[[Array], Array] = lambda array: array

    @cached_property
    def compiled(self) -> re.Pattern[str]:
        """Kept here: a deep network has more rules than the 512 patterns that `re` keeps."""
        return re.compile(self.pattern)


@dataclass(frozen=True)
class KeySkip:
    """Source keys that match `pattern` in full are left out, for `reason`."""

    pattern: str
    reason: str


@dataclass(frozen=True)
class KeyLayout:
    """One way in which files name a family's weights.

    stem: the source key of the kernel that sees the image; None for text. preprocessing: what weights in this layout
        were trained with ("mean", "std" and so on), where no JSON file beside them says it. settles: fields of the
        model that follow from the layout where its config leaves them open (None).
    """

    name: str
    rules: tuple[KeyRule, ...]
    skips: tuple[KeySkip, ...]
    stem: str | None
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    settles: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Matched:
    """leaves: {model path: array}. skipped: {reason: number of source keys}. used: number of source keys."""

    leaves: Flat
    skipped: dict[str, int]
    used: int


class Misfit(UserError):
    """Weights that do not fit a network. problems: {kind: what, in full}. fitting, wanted: numbers of leaves.

    hint: what the file seems to hold, or what mends it, or "".
    """

    def __init__(
        self, about: str, problems: Mapping[str, list[str]], *, fitting: int, wanted: int, hint: str = ""
    ):
        self.problems, self.fitting, self.wanted, self.hint = dict(problems), fitting, wanted, hint
        listed = "; ".join(_listed(kind, details) for kind, details in problems.items())
        super().__init__(f"{about}: {listed}{hint and f'. {hint}'}")


def renamed(source: Iterable[str], rules: Iterable[KeyRule]) -> dict[str, str]:
    """{source key: model path} of the keys that some rule matches."""
    rules = list(rules)
    found = {}
    for key in source:
        for rule in rules:
            if match := rule.compiled.fullmatch(key):
                found[key] = match.expand(rule.target)
    return found


def match(
    source: Mapping[str, Array], targets: Flat, layout: KeyLayout, *, about: str, hint: str = ""
) -> Matched:
    """`source` under the model's names, orientation and dtypes.

    Each source key must match exactly one rule or skip, each of `targets` (arrays or ShapeDtypeStructs) be filled
    once, with its shape; floats of any width are cast. None may be NaN or infinite, also once it is cast, and no
    variance below 0. Raises one Misfit with all that does not fit, which starts with `about` and ends with `hint`.
    """
    problems: dict[str, list[str]] = {}
    leaves: Flat = {}
    fitting = 0
    skipped: Counter[str] = Counter()
    for key, array in source.items():
        rules = [rule for rule in layout.rules if rule.compiled.fullmatch(key)]
        reasons = [skip.reason for skip in layout.skips if re.fullmatch(skip.pattern, key)]
        if len(rules) + len(reasons) > 1:
            problems.setdefault("with several rules", []).append(key)
        elif reasons:
            skipped[reasons[0]] += 1
        elif problem := _fill(leaves, key, array, rules, targets):
            kind, detail = problem
            problems.setdefault(kind, []).append(detail)
        else:
            fitting += 1
    missing = [path for path in targets if path not in leaves]
    if missing:
        problems["missing from the file"] = missing
    if problems:
        raise Misfit(about, problems, fitting=fitting, wanted=len(targets), hint=hint)
    return Matched(leaves, dict(skipped), len(leaves))


def _fill(
    leaves: Flat, key: str, array: Array, fitting: list[KeyRule], targets: Flat
) -> tuple[str, str] | None:
    """Put `array` under its model path, or say what is wrong: the kind, and the key with details."""
    path = renamed([key], fitting).get(key)
    if path is None:
        return "not expected in the file", key
    target = targets.get(path)
    if target is None:
        return "not expected in the file", f"{key} (the model has no {path})"
    if path in leaves:
        return "for a leaf that is filled already", f"{key} ({path})"
    leaves[path] = array  # also where it does not fit: that is not a missing one
    if not dtypes.issubdtype(array.dtype, np.floating):
        return "of another dtype", f"{key} ({array.dtype}, where {path} is {target.dtype})"
    turned = fitting[0].transform(array) if array.ndim == len(target.shape) else array
    if turned.shape != target.shape:
        return "of another shape", f"{key} (as {path} {turned.shape}, the model's is {target.shape})"
    with np.errstate(over="ignore"):  # which is said below, with the key
        leaves[path] = np.ascontiguousarray(turned, dtype=target.dtype)
    return _wrong_values(key, array, path, leaves[path])


def _wrong_values(key: str, array: Array, path: str, leaf: Array) -> tuple[str, str] | None:
    """What the values of a leaf say of the file: it is damaged, or was saved from a network that had diverged."""
    if not np.isfinite(leaf).all():
        wide = array.astype(np.float64)
        counts = {"NaN": np.isnan(wide).sum(), "infinite": np.isinf(wide).sum()}
        counts[f"beyond {leaf.dtype}"] = (~np.isfinite(leaf)).sum() - sum(counts.values())
        listed = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
        return "with values that are no numbers", f"{key} ({listed}, of {leaf.size})"
    if path.rpartition(".")[2] == "var" and (leaf < 0).any():
        return (
            "with variances below 0",
            f"{key} ({(leaf < 0).sum()} of {leaf.size}, the least {leaf.min():.3g})",
        )
    return None


def _listed(kind: str, details: list[str]) -> str:
    shown = ", ".join(details[:4])
    more = f", and {len(details) - 4} more" if len(details) > 4 else ""
    return f"{len(details)} {kind}: {shown}{more}"
