"""What was trained on what: data, weights, time, machine, versions; and the config, beside its parent's or defaults."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from rich.filesize import decimal

from jaxlab.core.config import Component, locations, to_json
from jaxlab.core.types import UserError
from jaxlab.core.words import counted
from jaxlab.experiment.study import innermost
from jaxlab.report import frame
from jaxlab.report.results.evidence import Evidence
from jaxlab.report.results.reading import Reading
from jaxlab.report.results.section import Section, missing, paragraph
from jaxlab.training.budget import duration_text
from jaxlab.training.rundir import RunDirectory

_DIFFERENCES = 60
_VALUE = 240  # characters of one
_JSON = 200_000  # characters of a config

Change = tuple[str, str, str]


def section(reading: Reading, evidence: Evidence | None) -> Section:
    """A table of names and what they are."""
    return Section("What was trained on what", (frame.table((), facts(reading, evidence), "facts"),))


def facts(reading: Reading, evidence: Evidence | None) -> Iterator[tuple[str, str]]:
    """(name, what it is); what is not known is left out."""
    config, info = mapping(reading.config), mapping(reading.info)
    yield "run", str(reading.rundir.path)
    yield from _config(config)
    yield from _data(reading, evidence)
    yield from _weights(info)
    yield from _training(reading)
    devices = mapping(info.get("devices"))
    if devices:
        yield "devices", f"{devices.get('used')} x {devices.get('platform')}, {devices.get('cores')} cores"
    versions = {"python": info.get("python"), **mapping(info.get("versions"))}
    if known := ", ".join(f"{name} {version}" for name, version in versions.items() if version):
        yield "versions", known
    if info:
        yield "commit", str(info.get("commit") or "unknown")


def _config(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    inner: Any = config
    kinds = []
    while isinstance(inner, dict):
        kinds.append(str(inner.get("type")))
        if not isinstance(inner.get("experiment"), dict):
            break
        inner = inner["experiment"]
    yield "config", " of ".join(kinds)
    parts = ("pretext", "model", "head", "loss", "optimizer")
    objectives = mapping(inner.get("objectives"))
    for part in parts:
        if isinstance(inner.get(part), dict) and not (objectives and part in ("head", "loss")):
            yield part, summary(inner[part])
    for name, one in objectives.items():
        if isinstance(one, dict):
            yield f"objective {name}", ", ".join(summary(mapping(one.get(part))) for part in ("head", "loss"))
    for encoder in sequence(inner.get("encoders")):
        yield "features", summary(mapping(mapping(encoder).get("model")) or mapping(encoder))


def summary(part: Mapping[str, Any]) -> str:
    """A component's name with its short fields."""
    plain = (str, int, float, bool)
    fields = [
        f"{name} {value}"
        for name, value in part.items()
        if name != "type" and isinstance(value, plain) and value not in ("", False) and len(str(value)) < 60
    ]
    return f"{part.get('type', '?')}{': ' if fields else ''}{', '.join(fields[:8])}"


def _data(reading: Reading, evidence: Evidence | None) -> Iterator[tuple[str, str]]:
    plan: Any = innermost(reading.experiment) if reading.experiment is not None else None
    source = getattr(plan, "data", None)
    if isinstance(source, Component):
        at = ", ".join(locations(source).values())
        yield "data", f"{type(source).__name__}{' at ' if at else ''}{at}"
    task = mapping(mapping(reading.info).get("task"))
    if sequence(task.get("targets")):
        many = ("class", "classes") if task.get("kind") == "classification" else ("target",)
        yield "predicts", counted(len(sequence(task.get("targets"))), *many)
    if evidence is not None:
        total = len(evidence.run.opened.train)
        yield (
            "samples",
            f"{total:,} labelled; {len(evidence.rows):,} of them predicted here, {_words(evidence.split)}",
        )
    if split := getattr(plan, "split", None):
        yield "split", summary(to_json(split))
    fingerprint = mapping(mapping(reading.info).get("data")).get("fingerprint")
    if fingerprint:
        yield "fingerprint of the data", str(fingerprint)[:16]


def _words(split: str) -> str:
    return {"out_of_fold": "each by a model that did not learn it"}.get(split, f"its {split} split")


def _weights(info: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    encoders = sequence(mapping(info.get("task")).get("encoders"))
    own = mapping(info.get("weights"))
    each = (own, own.get("text"), *(mapping(one).get("weights") for one in encoders))
    for one in map(mapping, each):
        if one.get("source"):
            yield "pretrained weights", f"{one['source']}, SHA-256 {str(one.get('sha256', ''))[:12]}"


def _training(reading: Reading) -> Iterator[tuple[str, str]]:
    meta = reading.meta
    if meta.get("steps"):
        yield "training", f"{meta['step']:,} of {meta['steps']:,} steps, epoch {meta.get('epoch', 0):,}"
    best = (meta.get("progress") or {}).get("best") or {}
    if best.get("metric") and meta.get("steps") and best.get("value") is not None:
        yield "best", f"{best['metric'].replace('_', ' ')} {best['value']:.4g} at step {best['step']:,}"
    if reading.seconds is not None and reading.seconds >= 1:
        yield "time", f"{duration_text(reading.seconds)}, from its first record to the last"
    leaves = mapping(mapping(meta.get("leaves")).get("params"))
    count = sum(_size(leaf[0]) for leaf in leaves.values())
    if count:
        yield "parameters", f"{count:,} in {len(leaves):,} arrays"
    size = sum(
        file.stat().st_size for one in reading.checkpoints for file in one.path.rglob("*") if file.is_file()
    )
    if size:
        yield "checkpoints", f"{len(reading.checkpoints)}, {decimal(size)} on disk"
    used = mapping(meta.get("memory"))
    for name, words in (("host", "memory"), ("device", "memory of a device")):
        if isinstance(used.get(name), int):
            yield words, f"{decimal(used[name])} at most"


def mapping(value: Any) -> Mapping[str, Any]:
    """The JSON object that a file should have there, or an empty one: strangers' files hold anything."""
    return value if isinstance(value, Mapping) else {}


def sequence(value: Any) -> Sequence[Any]:
    """Likewise, of a list."""
    return value if isinstance(value, list) else ()


def _size(shape: Any) -> int:
    total = 1
    for side in sequence(shape):
        total *= side if isinstance(side, int) else 0
    return total


def config_section(reading: Reading) -> Section:
    """The config, and where it differs from its parent's, or from the defaults of its kind."""
    parts: list[str] = []
    try:
        about, found = compared(reading)
        parts.append(paragraph(about))
        parts.append(changes_table(found))
    except (UserError, OSError) as error:
        parts += missing([f"What differs from the defaults is not shown: {error}."])
    text = json.dumps(reading.config, indent=1)
    cut = "" if len(text) <= _JSON else f"\n... and {len(text) - _JSON:,} characters more"
    parts.append(
        f"<details><summary>config.json</summary><pre>{frame.text(text[:_JSON] + cut)}</pre></details>"
    )
    return Section("Config", tuple(parts))


def compared(reading: Reading) -> tuple[str, list[Change]]:
    """In words what the config is compared with, and each difference."""
    parent = _parent(reading.config)
    if parent is not None:
        found = changes(RunDirectory(parent).config(), reading.config)
        told = f"Its weights come from the run {parent}"
        return f"{told}; it differs from that in {counted(len(found), 'place')}{':' if found else '.'}", found
    experiment = reading.experiment
    if experiment is None:
        raise UserError("the config could not be read as components")
    needed = {one.name: getattr(experiment, one.name) for one in fields(experiment) if _is_required(one)}
    default = type(experiment)(**needed)
    found = changes(to_json(default), to_json(experiment))
    kind = type(experiment).__name__
    return (
        f"It differs from the defaults of {kind}() in {counted(len(found), 'place')}{':' if found else '.'}",
        found,
    )


def changes(old: Any, new: Any, path: str = "") -> list[Change]:
    """(field, from, to) wherever two configs' JSON differs; a part of another type is told as a whole."""
    if isinstance(old, Mapping) and isinstance(new, Mapping) and old.get("type") == new.get("type"):
        names = dict.fromkeys([*old, *new])
        parts = [changes(old.get(name), new.get(name), f"{path}.{name}" if path else name) for name in names]
        return [change for part in parts for change in part]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [change for k, (a, b) in pairs for change in changes(a, b, f"{path}.{k}")]
    return [] if old == new else [(path, told(old), told(new))]


def told(value: Any) -> str:
    """A value of a config in words: components by name, with their short fields."""
    if isinstance(value, Mapping) and "type" in value:
        return summary(value)
    if isinstance(value, list):
        return "; ".join(map(told, value)) or "none"
    return json.dumps(value)


def changes_table(found: Sequence[Change]) -> str:
    """A row each, long values cut off, and how many more there are."""
    if not found:
        return ""
    rows = [(path, *(shortened(side) for side in sides)) for path, *sides in found[:_DIFFERENCES]]
    more = f"<p>{len(found) - len(rows):,} more are left out.</p>" if len(found) > len(rows) else ""
    return frame.table(("field", "from", "to"), rows, "words") + more


def shortened(text: str, most: int = _VALUE) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _is_required(one: Field[Any]) -> bool:
    return one.default is MISSING and one.default_factory is MISSING


def _parent(config: Any) -> Path | None:
    """The run directory that pretrained weights come from, if they come from one."""
    if isinstance(config, Mapping):
        place = config.get("pretrained")
        if isinstance(place, str) and (path := _run_of(Path(place.partition("#")[0]))) is not None:
            return path
        return next(filter(None, map(_parent, config.values())), None)
    return next(filter(None, map(_parent, config)), None) if isinstance(config, list) else None


def _run_of(path: Path) -> Path | None:
    """The run that a path is, or lies within, as a checkpoint does."""
    try:
        near = (path, *list(path.parents)[:2])
        return next(
            (one for one in near if RunDirectory(one).exists() and (one / "run.json").is_file()), None
        )
    except (OSError, ValueError):
        return None
