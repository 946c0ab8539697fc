"""Run frozen encoders over samples, once: what is in the store already is not computed again."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from rich.console import Console

from jaxlab.core.terminal import stderr_console
from jaxlab.core.types import Samples, UserError
from jaxlab.data.levels import Levels
from jaxlab.encode.encoder import Encoder, Loaded, Stimuli
from jaxlab.encode.making import Making, run
from jaxlab.encode.repeated import Repeated, Rows
from jaxlab.encode.store import Folder, Layer

VERSION = 1  # of what networks compute: another one leaves all stored features behind


@dataclass(frozen=True)
class StoredLayer:
    """One layer in the store. seconds: that making it took, together with those made beside it; None: it was there."""

    folder: Folder
    layer: Layer
    array: np.ndarray
    row_of: np.ndarray | None
    seconds: float | None


@dataclass(frozen=True)
class FeatureSet:
    """Features of samples by name. ids: (n,) of the samples."""

    ids: np.ndarray
    kept: Mapping[str, StoredLayer]

    def __getitem__(self, name: str) -> np.ndarray:
        """(n, ...) float32 or bfloat16, in the order of the samples; memory-mapped where no two share a row."""
        found = self.kept[name]
        return found.array if found.row_of is None else found.array[found.row_of]

    def rows(self, name: str) -> Rows:
        """The same, of which nothing is in memory before it is indexed by rows."""
        found = self.kept[name]
        return found.array if found.row_of is None else Repeated(found.array, found.row_of)

    def of(self, rows: np.ndarray) -> "FeatureSet":
        """Those of the samples at `rows`; of a series of them memory-mapped still."""
        series = len(rows) > 0 and rows[-1] - rows[0] + 1 == len(rows) and (np.diff(rows) == 1).all()
        kept = {}
        for name, stored in self.kept.items():
            if stored.row_of is None and series:
                kept[name] = replace(stored, array=stored.array[rows[0] : rows[-1] + 1])
            else:
                kept[name] = replace(stored, row_of=rows if stored.row_of is None else stored.row_of[rows])
        return FeatureSet(self.ids[rows], kept)

    @property
    def fingerprint(self) -> str:
        """Names the features: equal ones are of the same weights, preprocessing, data, layers and dtype."""
        parts = [[name, k.folder.key, k.layer.file] for name, k in sorted(self.kept.items())]
        return hashlib.sha256(json.dumps([parts, self.ids.tolist()]).encode()).hexdigest()


def load_all(
    encoders: Sequence[Encoder], levels: Levels | None = None, records: Sequence[Mapping[str, Any]] = ()
) -> tuple[Loaded, ...]:
    """Each encoder with its weights. levels: `images.levels`, where it leaves them open.

    records: those of a run's encoders, whose features are made as they were then.

    Raises UserError where two would give layers the same name.
    """
    settled = [encoder.at_levels(levels) for encoder in encoders]
    settled[: len(records)] = [one.as_in(record) for one, record in zip(settled, records, strict=False)]
    loaded = tuple(encoder.load() for encoder in settled)
    names = [name for one in loaded for name in one.named]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(
            f"encoders: several have layers named {', '.join(twice)}; tell them apart by their field `name`"
        )
    return loaded


def features(
    encoders: Sequence[Loaded],
    samples: Samples,
    rows: np.ndarray | None = None,
    console: Console | None = None,
) -> FeatureSet:
    """The features of the samples at `rows` (default: all), from the store as far as they are there.

    Raises UserError for images that cannot be read, a column that the samples have not, or a full disk.
    """
    console = console or stderr_console()
    rows = np.arange(len(samples)) if rows is None else rows
    if len(rows) == 0:
        raise UserError("features: expected one sample or more, found none")
    kept: dict[str, StoredLayer] = {}
    for encoder in encoders:
        made = _kept(encoder, encoder.stimuli(samples, rows), console)
        kept |= {name: made[layer] for name, layer in encoder.named.items()}
    return FeatureSet(samples.ids[rows], kept)


def fresh(encoders: Sequence[Loaded], samples: Samples, size: int) -> FeatureSet:
    """The features of a few samples, in memory; nothing is looked for or kept in the store. Errors as `features`.

    size: of a batch, which is filled up; each other one is compiled anew.
    """
    kept: dict[str, StoredLayer] = {}
    for encoder in encoders:
        stimuli = encoder.stimuli(samples, np.arange(len(samples)))
        parts = [values for _, values in run(encoder, stimuli, encoder.layers, 0, len(stimuli), size)]
        folder = Folder(_key(encoder, stimuli))
        for name, layer in encoder.named.items():
            whole = _layer(encoder, stimuli, layer)
            array = np.concatenate([part[layer] for part in parts])
            kept[name] = StoredLayer(folder, whole, array, stimuli.row_of, None)
    return FeatureSet(samples.ids, kept)


def _layer(encoder: Loaded, stimuli: Stimuli, name: str) -> Layer:
    return Layer(name, encoder.pool, (len(stimuli), *encoder.shapes[name]), encoder.config.dtype)


def _kept(encoder: Loaded, stimuli: Stimuli, console: Console) -> dict[str, StoredLayer]:
    """{layer: what is kept of it}; those that are missing are computed together."""
    folder = Folder(_key(encoder, stimuli))
    layers = [_layer(encoder, stimuli, name) for name in encoder.layers]
    found = {layer: folder.open(layer) for layer in layers}
    took: dict[Layer, float | None] = dict.fromkeys(layers)
    if missing := [layer for layer in layers if found[layer] is None]:
        make = Making(encoder, stimuli, folder, console)
        with folder.locked(otherwise=partial(make.help, missing)):
            if missing := [layer for layer in layers if folder.open(layer) is None]:
                took |= dict.fromkeys(missing, make.all(missing))
        found = {layer: folder.open(layer) for layer in layers}
    kept = {}
    for layer, array in found.items():
        if array is None:
            raise UserError(f"{folder.path / layer.file}: was removed or changed while it was in use")
        kept[layer.name] = StoredLayer(folder, layer, array, stimuli.row_of, took[layer])
    return kept


def _key(encoder: Loaded, stimuli: Stimuli) -> str:
    ids = hashlib.sha256("\n".join(stimuli.ids.tolist()).encode()).hexdigest()
    parts = [VERSION, encoder.recipe, encoder.frozen.digest, stimuli.checksum, len(stimuli), ids]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
