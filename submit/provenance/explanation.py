"""A submission's provenance as members: the runs at the ends of its ensembles, and in what they differ."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from submit.errors import SubmissionError
from submit.provenance.record import Kept

_ABSENT = "-"
_COMPARED = ("config", "python", "versions", "commit")


@dataclass(frozen=True)
class Node:
    """A part of the provenance, with the parts that it was made of.

    name: the run, the file where no more is known, or how an ensemble was made; unlike that of any other run.
    part: what it is for in the whole, such as a subject. weight: among its siblings, as recorded; share: in the whole,
    None where that is not known.
    """

    name: str
    part: str
    weight: float | None
    share: float | None
    provenance: Mapping[str, Any]
    below: tuple["Node", ...]

    def leaves(self) -> Iterator["Node"]:
        """The parts that were made of no others, from left to right."""
        if not self.below:
            yield self
        for node in self.below:
            yield from node.leaves()


def tree(provenance: Mapping[str, Any]) -> Node:
    """Raises SubmissionError where it is not what a submission's provenance holds."""
    try:
        return _node(provenance, "", None, 1.0, {})
    except (TypeError, KeyError, AttributeError, ValueError, OverflowError, RecursionError) as error:
        raise SubmissionError(f"provenance: it is not built as expected ({error!r}).") from error


def _node(
    provenance: Mapping[str, Any], part: str, weight: float | None, share: float | None, names: dict[str, int]
) -> Node:
    parts = _parts(provenance)
    total = sum(item[1] for item in parts if item[1] is not None)
    below = []
    for label, own, inner in parts:
        part_share = share if own is None else None if share is None or not total else share * own / total
        below.append(_node(inner, label, own, part_share, names))
    return Node(_name(provenance, bool(parts), names), part, weight, share, provenance, tuple(below))


def _parts(provenance: Mapping[str, Any]) -> list[tuple[str, float | None, Mapping[str, Any]]]:
    """(part, weight, provenance) of what it was made of: an ensemble's members, subjects' predictions, or folds.

    Facts under the same names that hold no such lists, as `"folds": 5`, are a user's own.
    """
    ensemble, subjects, folds = (provenance.get(key) for key in ("ensemble", "subjects", "folds"))
    if isinstance(ensemble, list):
        return [("", _weight(item["weight"]), item["provenance"]) for item in ensemble]
    if isinstance(subjects, Mapping):
        return [(subject, None, item) for subject, items in subjects.items() for item in items]
    return [(f"fold {k}", None, item) for k, item in enumerate(folds)] if isinstance(folds, list) else []


def _weight(value: Any) -> float:
    """Raises ValueError for what is no finite number."""
    weight = float(value)
    if isinstance(value, bool) or not math.isfinite(weight):
        raise ValueError(f"a weight is {value}")
    return weight


def _name(provenance: Mapping[str, Any], composed: bool, names: dict[str, int]) -> str:
    if composed:
        return str(
            provenance.get("run") or provenance.get("method") or provenance.get("format") or "ensemble"
        )
    name = str(provenance.get("run", provenance.get("file", "predictions of unknown origin")))
    names[name] = names.get(name, 0) + 1
    return name if names[name] == 1 else f"{name} #{names[name]}"


def inference(provenance: Mapping[str, Any]) -> str | None:
    """From which views of an image predictions were made, after which refinement; None where not recorded."""
    record = provenance.get("inference")
    if not isinstance(record, Mapping) or "views" not in record:
        return None
    line = f"{record['views']} view{'s' if record['views'] != 1 else ''} of each image"
    if record.get("adapts") is None:
        return line
    line, batches, late = (
        f"{line}, {record['adapts']} refined",
        record.get("batches"),
        record.get("unrefined"),
    )
    if not isinstance(batches, int) or not isinstance(late, int):
        return line
    return f"{line} for {batches - late} of {batches} batches"


def soup_size(provenance: Mapping[str, Any]) -> int | None:
    """How many checkpoints a soup's weights are the mean of; None where it is no soup."""
    soup = provenance.get("soup")
    members = soup.get("members") if isinstance(soup, Mapping) else None
    if not isinstance(members, list):
        return None
    return sum(not isinstance(member, Mapping) or bool(member.get("taken", True)) for member in members)


Grouped = dict[str, list[str]]


def differing_settings(members: list[Node]) -> dict[str, Grouped]:
    """{setting: {value: names of the members that have it}} of the settings in which members differ.

    Settings are those of config (`config.optimizer.lr`), python, packages and commit; what a member does not
    have is "-". Members that record no config are left out.
    """
    known = [member for member in members if "config" in member.provenance]
    flat = {
        member.name: flat_settings({key: member.provenance.get(key) for key in _COMPARED}) for member in known
    }
    keys = dict.fromkeys(key for values in flat.values() for key in values)
    found = {key: _grouped({name: values.get(key, _ABSENT) for name, values in flat.items()}) for key in keys}
    return {key: groups for key, groups in found.items() if len(groups) > 1}


def data_fingerprints(members: list[Node]) -> Grouped:
    """{fingerprint of the data learnt from: names of the members}; "-" where none is recorded."""
    recorded = {member.name: member.provenance.get("data") for member in members}
    found = {
        name: one.get("fingerprint") if isinstance(one, Mapping) else one for name, one in recorded.items()
    }
    return _grouped({name: str(value or _ABSENT) for name, value in found.items()})


def _grouped(values: Mapping[str, str]) -> Grouped:
    groups: Grouped = {}
    for name, value in values.items():
        groups.setdefault(value, []).append(name)
    return groups


def flat_settings(value: Any, prefix: str = "") -> dict[str, str]:
    """{dotted name: value as text} of settings within settings."""
    if isinstance(value, Mapping | list) and value:
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        return {
            name: text
            for key, item in items
            for name, text in flat_settings(item, f"{prefix}.{key}" if prefix else str(key)).items()
        }
    text = value if isinstance(value, str) else json.dumps(value)
    return {} if value is None and prefix in _COMPARED else {prefix: text}


def to_dict(kept: Kept) -> dict[str, Any]:
    """All of it, ready for JSON: the record, whether the file is the same, members, differences, data."""
    members = list(tree(kept.record["provenance"]).leaves())
    return {
        **kept.record,
        "unchanged": not kept.faults,
        "faults": kept.faults,
        "members": [
            {
                "name": member.name,
                "part": member.part,
                "share": member.share,
                "step": member.provenance.get("step"),
                "digest": member.provenance.get("digest"),
                "scores": member.provenance.get("scores"),
            }
            for member in members
        ],
        "differences": differing_settings(members),
        "data": data_fingerprints(members),
    }
