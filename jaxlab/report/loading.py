"""Why a checkpoint does not go on in another run: what differs in what it holds, and the words that mend it."""

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from jaxlab.core.words import counted

_SHOWN = 3
# Part of the parameters: the fields of a config that its arrays follow from.
_FIELDS = {
    "backbone": ("model", "encoders", "images"),
    "head": ("head", "objectives"),
    "opt_state": ("optimizer",),
}
_WORDS = {"backbone": "the backbone", "head": "the readout", "opt_state": "the optimizer's state"}


class Hindrance(NamedTuple):
    """why: what is there and what is expected here. mend: what to type, or to give."""

    why: str
    mend: str


def hindrances(diff: Mapping[str, Any], here: Mapping[str, Any], there: Mapping[str, Any]) -> list[Hindrance]:
    """What keeps the checkpoint there from going on in the run here; none where all its arrays fit.

    diff: as `compare` has it. here, there: run.json of each, {} where a checkpoint has no run. An array of another
    dtype alone is converted, and hinders nothing.
    """
    targets = list(_targets(here, there))
    return [*targets, *_parts(diff, bool(targets))]


def _targets(here: Mapping[str, Any], there: Mapping[str, Any]) -> Iterator[Hindrance]:
    """Targets, classes or subjects that are other ones."""
    a, b = (one.get("task") or {} for one in (here, there))
    for what, own, other in (*_named(a, b), ("subject", _subjects(a), _subjects(b))):
        if not own or not other or own == other:
            continue
        new, old = (
            [name for name in one if name not in set(two)] for one, two in ((own, other), (other, own))
        )
        only = "; ".join(
            f"only {where} {_some(names)}" for where, names in (("there", old), ("here", new)) if names
        )
        yield Hindrance(
            f"{counted(len(other), what, f'{what}es' if what == 'class' else None)} there, {len(own):,} here: "
            f"{only or 'the same in another order'}",
            "train on the same data (data.root=...), or keep its backbone alone: model.pretrained=RUN",
        )


def _named(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[tuple[str, list[str], list[str]]]:
    what = "class" if b.get("kind") == "classification" else "target"
    yield what, list(a.get("targets") or ()), list(b.get("targets") or ())


def _subjects(task: Mapping[str, Any]) -> list[str]:
    """The subjects that targets' names begin with, of pooled ones."""
    names = [str(name).partition("/")[0] for name in task.get("targets") or () if "/" in str(name)]
    return list(dict.fromkeys(names))


def _parts(diff: Mapping[str, Any], other_targets: bool) -> Iterator[Hindrance]:
    for part, words in _WORDS.items():
        lacking, beyond = (_of(part, diff[which]) for which in ("only_here", "only_there"))
        shapes = {
            name: kinds
            for name, kinds in diff["shapes"].items()
            if _is_of(part, name) and _shape(kinds[0]) != _shape(kinds[1])
        }
        if not (lacking or beyond or shapes) or (
            part == "head" and other_targets and not (lacking or beyond)
        ):
            continue
        found = [
            f"{counted(len(names), 'array')} only {where} ({_some(names)})"
            for where, names in (("there", beyond), ("here", lacking))
            if names
        ]
        if shapes:
            name, kinds = next(iter(shapes.items()))
            found.append(
                f"{counted(len(shapes), 'array')} of another shape ({name}: {_shape(kinds[1])} there, "
                f"{_shape(kinds[0])} here)"
            )
        yield Hindrance(f"{words}: {', '.join(found)}", _mend(part, diff["config"]))


def _mend(part: str, config: Sequence[str]) -> str:
    """The fields of the config there that make it so."""
    changed = dict(
        _change(line) for line in config if line.partition(".")[0].partition(":")[0] in _FIELDS[part]
    )
    if any(name.endswith("type") for name in changed):
        kinds = ", ".join(f"{name}={value}" for name, value in changed.items() if name.endswith("type"))
        return f"another kind of part ({kinds} there): train with the config there, RUN/config.py"
    settings = [f"--set {shlex.quote(f'{name}={value}')}" for name, value in changed.items()]
    if settings:
        return "as there: " + " ".join(settings)
    if part == "head":
        return "the same data and targets as there, or its backbone alone: model.pretrained=RUN"
    return "begin a new run with its backbone: model.pretrained=RUN"


def _change(line: str) -> tuple[str, Any]:
    """A field and its value there, of `field: here -> there`."""
    name, _, rest = line.partition(": ")
    value = rest.rpartition(" -> ")[2]
    try:
        found = json.loads(value)
    except ValueError:
        return name, value
    return name, found if isinstance(found, str) else value


def _of(part: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if _is_of(part, name)]


def _is_of(part: str, name: str) -> bool:
    """params.head.kernel is of the head, opt_state.0.mu... of the optimizer."""
    field, _, rest = name.partition(".")
    return field == part or (field == "params" and rest.partition(".")[0] == part)


def _shape(kind: str) -> str:
    """Of float32[3, 4]: [3, 4]."""
    return kind[kind.index("[") :]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
