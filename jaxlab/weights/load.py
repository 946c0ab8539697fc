"""Pretrained weights of a source made to fit a module: its first kernel adapted, all keys matched, a record kept."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from jaxlab.core.config import Component
from jaxlab.core.tree import Flat
from jaxlab.core.types import UserError
from jaxlab.weights.families import family_of
from jaxlab.weights.family import Family
from jaxlab.weights.match import KeyLayout, Matched, match, renamed
from jaxlab.weights.parts import Part, find_part, shared_prefix
from jaxlab.weights.preprocessing import preprocessing
from jaxlab.weights.read import read


def load_pretrained(
    config: Component, source: str, params: Flat, stats: Flat, further: int = 0
) -> tuple[Flat, Flat, dict[str, Any]]:
    """The weights of `source` for the module of `config`, and a JSON record of what was done.

    source: a safetensors or PyTorch file, a folder with one, or a hub id. params, stats: the module's flat
        parameters and batch statistics; of them only shapes and dtypes are used. Returns numpy arrays.
    further: so many of the image's last channels are none of the weights' colours; the network's features start as if
        these were not there.
    Raises UserError with everything that does not fit: keys, shapes, dtypes, architecture.
    """
    family = family_of(config)
    arrays, origin = read(source)
    about = f"weights {source} do not fit {type(config).__name__}"
    family.check_metadata(config, origin.metadata, about)
    part = Part("", arrays, 0, "")
    try:
        fitted = _fitted(family, config, dict(arrays), (params, stats), further, about)
    except UserError:
        found = find_part(arrays, params | stats, partial(family.layout, config), source)
        if found is None:
            raise
        part = found
        below = f"{about} (those below {part.prefix!r}, of {len(arrays)} keys)"
        fitted = _fitted(family, config, dict(part.arrays), (params, stats), further, below)
    layout, adapted, matched = fitted
    described = "config.json" in origin.metadata
    skipped = {f"outside of {part.prefix[:-1]}": part.left} if part.left else {}
    record = {
        "source": source,
        "file": origin.file.name,
        "sha256": origin.sha256,
        "revision": origin.revision,
        "layout": layout.name,
        "used": matched.used,
        "skipped": matched.skipped | skipped,
        "stem": adapted,
        "preprocessing": {
            **layout.preprocessing,
            **preprocessing(origin.metadata),
            **_timms(layout, origin.metadata),
        },
        "settles": dict(layout.settles),
        "notes": [note for note in (part.note, family.unknown(config, layout, described)) if note],
    }
    loaded = matched.leaves
    return {path: loaded[path] for path in params}, {path: loaded[path] for path in stats}, record


def settled(model: Any, record: Mapping[str, Any] | None) -> Any:
    """`model` with the fields that its weights settle and it leaves open; what is usual for it stays unwritten.

    record: as `load_pretrained` makes it; one of an earlier version settles nothing.
    """
    for name, value in ((record or {}).get("settles") or {}).items():
        chosen, usual = getattr(model, name) or value, getattr(model, f"usual_{name}")
        model = replace(model, **{name: None if chosen == usual else chosen})
    return model


def _timms(layout: KeyLayout, metadata: Mapping[str, Any]) -> dict[str, str]:
    """How timm cuts the centre, where weights come from there: by their names, or by the file beside them."""
    told = metadata.get("config.json", {}).get("pretrained_cfg")
    cuts = (told or {}).get("crop_mode", "center") == "center"  # else timm stretches or pads
    return {"crop_from": "resized"} if cuts and (told is not None or layout.name == "timm") else {}


def _fitted(
    family: Family,
    config: Component,
    arrays: dict[str, np.ndarray],
    leaves: tuple[Flat, Flat],
    further: int,
    about: str,
) -> tuple[KeyLayout, str | None, Matched]:
    """The layout of `arrays`, what was done to the first kernel, and the leaves. Changes `arrays`."""
    params, stats = leaves
    layout = family.layout(config, arrays)
    adapted = None
    if layout.stem is not None and family.stem is not None:
        adapted = adapted_stem(arrays, layout.stem, params[family.stem].shape[2] - further)
        widened = widened_stem(arrays, layout.stem, further)
        adapted = "; ".join(done for done in (adapted, widened) if done) or None
    hint = family.hint(config, arrays, layout) or _about_classifier(family, arrays, layout, params)
    if hint and (shared := shared_prefix(arrays)):
        hint = f"{hint}; all keys of the file begin with {shared!r}"
    return layout, adapted, match(arrays, params | stats, layout, about=about, hint=hint)


def stem_of(config: Component) -> str:
    """The path of the kernel that sees the image, of a family that has one. Raises UserError for others."""
    stem = family_of(config).stem
    if stem is None:
        raise UserError(f"{type(config).__name__} sees no images")
    return stem


def _about_classifier(
    family: Family, arrays: Mapping[str, np.ndarray], layout: KeyLayout, params: Flat
) -> str:
    """What to do about a classifier that the file has not, or of other classes; else ""."""
    bias = f"{family.classifier}.bias"
    if bias not in params:
        return ""
    keys = {path: key for key, path in renamed(arrays, layout.rules).items()}
    (classes,) = params[bias].shape
    if bias not in keys:
        return "The file has no classifier; classes=0 leaves the model without one too"
    if arrays[keys[bias]].shape != (classes,):
        return f"The file's classifier is not one of {classes} classes; classes=0 leaves it out"
    return ""


def adapted_stem(arrays: dict[str, np.ndarray], key: str, channels: int) -> str | None:
    """Make the (out, in, h, w) kernel at `key` take `channels`; returns what was done, None if nothing.

    timm's rule: to one channel by the sum, so that a grey image has the effect of its three equal channels;
    to more by repeating the kernel and scaling it by old / new.
    """
    kernel = arrays.get(key)
    if kernel is None or kernel.ndim != 4 or kernel.shape[1] == channels:
        return None
    old = kernel.shape[1]
    if channels == 1:
        arrays[key] = kernel.sum(1, keepdims=True, dtype=np.float32)
        return f"summed over {old} channels"
    arrays[key] = np.take(kernel, np.arange(channels) % old, axis=1).astype(np.float32) * (old / channels)
    return f"repeated from {old} to {channels} channels, times {old}/{channels}"


def widened_stem(arrays: dict[str, np.ndarray], key: str, further: int) -> str | None:
    """Zero weights for `further` channels behind the kernel's own: gradients reach them, until then nothing changes."""
    kernel = arrays.get(key)
    if kernel is None or kernel.ndim != 4 or not further:
        return None
    arrays[key] = np.pad(kernel.astype(np.float32), ((0, 0), (0, further), (0, 0), (0, 0)))
    return f"{further} further channels of weight 0"
