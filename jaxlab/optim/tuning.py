"""What a fine-tuning makes of one network's parameters: groups by start, batch norms frozen, and a record of it."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BACKBONE = "backbone."
FUSION = "backbone.fusion."  # of a question with an image: no pretrained weights come with it


@dataclass(frozen=True)
class Tuning:
    """factor: of the learning rate, of each parameter that ever trains. start: the epochs before it does, likewise.

    frozen_statistics: the backbone's batch norms keep their running statistics.
    """

    factor: Mapping[str, float]
    start: Mapping[str, float]
    frozen_statistics: bool = False

    def starts(self, steps_per_epoch: int) -> dict[int, dict[str, float]]:
        """{first step: {path: factor} of those that start to train there}, in order; the first is 0."""
        found: dict[int, dict[str, float]] = {}
        for path, epochs in self.start.items():
            found.setdefault(_step(epochs, steps_per_epoch), {})[path] = self.factor[path]
        return dict(sorted(found.items()))

    def frozen_norms(
        self, training: Collection[str], params: Iterable[str], stats: Iterable[str]
    ) -> frozenset[str]:
        """Paths of the batch norms that keep their running statistics while the parameters `training` train.

        Those all of whose own parameters are frozen; with `frozen_statistics` those of the backbone.
        """
        norms = {_module(path) for path in stats}
        own = {norm: [path for path in params if _module(path) == norm] for norm in norms}
        return frozenset(
            norm
            for norm, paths in own.items()
            if (self.frozen_statistics and norm.startswith(BACKBONE) and not norm.startswith(FUSION))
            or (paths and not any(path in training for path in paths))
        )

    def table(
        self,
        layers: Sequence[str],
        layer_of: Mapping[str, str],
        unread: Collection[str],
        shapes: Mapping[str, Sequence[int]],
        stats: Iterable[str],
        lr: float,
    ) -> list[dict[str, Any]]:
        """The record that a run keeps, in the layers' order: one entry for all of a layer that trains alike.

        {"layer", "arrays", "parameters", "trains": "yes", "no" or "unread", "rate": peak learning rate or None,
        "after_epoch": epochs before it trains or None, "statistics": "train", "frozen" or None without batch norm}.
        """
        norms = {_module(path) for path in stats}
        bare = norms - {_module(path) for path in layer_of}  # a readout's, which have no parameters
        frozen = self.frozen_norms(self.factor, layer_of, stats)
        alike: dict[tuple, list[str]] = {}
        for path in layer_of:
            trains = "yes" if path in self.factor else "unread" if path in unread else "no"
            key = (layers.index(layer_of[path]), self.start.get(path), trains, self.factor.get(path))
            alike.setdefault(key, []).append(path)
        entries = []
        for key in sorted(alike, key=lambda key: (key[0], math.inf if key[1] is None else key[1], key[2:])):
            layer, after, trains, factor = key
            own = {_module(path) for path in alike[key]} & norms | (
                bare if layer == len(layers) - 1 else set()
            )
            entries.append(
                {
                    "layer": layers[layer],
                    "arrays": len(alike[key]),
                    "parameters": sum(math.prod(shapes[path]) for path in alike[key]),
                    "trains": trains,
                    "rate": None if factor is None else lr * factor,
                    "after_epoch": after,
                    "statistics": None if not own else "frozen" if own <= frozen else "train",
                }
            )
        return entries


def summary(table: Sequence[Mapping[str, Any]]) -> str:
    """One line on how much trains, and from when."""
    total = sum(entry["parameters"] for entry in table)
    counts: dict[float, int] = {}
    for entry in table:
        if entry["after_epoch"] is not None:
            counts[entry["after_epoch"]] = counts.get(entry["after_epoch"], 0) + entry["parameters"]
    first, *later = sorted(counts)
    parts = [f"trains {counts[first]:,} of {total:,} parameters"]
    parts += [f"{counts[epoch]:,} more after epoch {epoch:g}" for epoch in later]
    if unread := sum(entry["parameters"] for entry in table if entry["trains"] == "unread"):
        parts.append(f"the head reads nothing of {unread:,}")
    return "; ".join(parts)


def notes(table: Sequence[Mapping[str, Any]], steps_per_epoch: int) -> dict[int, str]:
    """{first step: what starts to train there}."""
    starting: dict[int, list[Mapping[str, Any]]] = {}
    for entry in table:
        if entry["after_epoch"] is not None:
            starting.setdefault(_step(entry["after_epoch"], steps_per_epoch), []).append(entry)
    return {step: _note(entries) for step, entries in starting.items()}


def _note(entries: Sequence[Mapping[str, Any]]) -> str:
    layers = list(dict.fromkeys(entry["layer"] for entry in entries))
    shown = ", ".join(layers) if len(layers) < 4 else f"{layers[0]}, {layers[1]}, ..., {layers[-1]}"
    return f"{shown} ({sum(entry['parameters'] for entry in entries):,} parameters) train from here"


def _step(epochs: float, steps_per_epoch: int) -> int:
    return max(int(epochs * steps_per_epoch), 1) if epochs else 0  # rounded up, it may be the run's end


def _module(path: str) -> str:
    return path.rpartition(".")[0]
