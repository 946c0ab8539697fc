"""Distillation: what another network predicts as the truth of an objective."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxlab.core.config import LATER, Component, Location
from jaxlab.core.precision import narrowed
from jaxlab.core.types import Kind, UserError
from jaxlab.data.source import duplicates, examples
from submit.late import Late

if TYPE_CHECKING:
    from scipy import special

    import submit
else:
    special, submit = Late("scipy.special"), Late("submit")


@dataclass(frozen=True, kw_only=True)
class Teacher(Component):
    """Predictions of another run for the labelled samples, matched by id: numbers, or probabilities of classes.

    Out-of-fold predictions of folds or of a ridge regression are of all of them; those of an ensemble are what
    `submit.Predictions.save` writes.
    predictions: a file, as predictions.npz, or several that have other samples each. The ids of all labelled samples
        must be there; logits are taken as their softmax.
    temperature: T, of classes alone. The teacher's logits and the network's are divided by it, and the loss is
        multiplied by T^2, so that gradients stay as large (Hinton, Vinyals & Dean 2015, section 2). Above 1, classes
        that the teacher finds unlikely count more.
    """

    predictions: Location | tuple[Location, ...]
    temperature: float = field(default=1.0, metadata=LATER)

    def check(self) -> None:
        if not self.files:
            raise UserError("Teacher.predictions: expected one file or more, found none")
        if not 0 < self.temperature < float("inf"):
            raise UserError(f"Teacher.temperature: expected more than 0, found {self.temperature}")

    @property
    def files(self) -> tuple[str, ...]:
        return (self.predictions,) if isinstance(self.predictions, str) else self.predictions

    @property
    def shown(self) -> str:
        """Its files, for messages."""
        return examples(self.files, 3)

    def targets(self, kind: Kind) -> tuple[str, ...]:
        """Names of targets, or of classes. Raises UserError for predictions of another kind."""
        found = self._read()
        if (found.kind == "regression") != (kind == "regression"):
            raise UserError(f"{self.shown}: holds {found.kind}, but the objective's loss is for {kind}")
        return tuple(found.targets.tolist())

    def columns(self, targets: Sequence[str], kind: Kind) -> list[int]:
        """Where these targets, or classes, are among its own. Raises UserError where they are not the same ones."""
        own = {name: column for column, name in enumerate(self.targets(kind))}
        if own.keys() != set(targets):
            what, wanted = "classes" if kind == "classification" else "targets", set(targets)
            absent, others = (
                [name for name in a if name not in b] for a, b in ((targets, own), (own, wanted))
            )
            raise UserError(
                f"{self.shown}: beside the data's truth a teacher predicts the same {what}, expected {len(targets)}, "
                f"found {len(own)}, of which {len(others)} are others ({examples(others) or 'none'}); "
                f"{len(absent)} lack ({examples(absent) or 'none'})"
            )
        return [own[name] for name in targets]

    def numbers(self, ids: np.ndarray) -> np.ndarray:
        """(n, t) float32, or (`narrowed`) float64, of these samples."""
        return narrowed(self._of(ids))

    def probabilities(self, ids: np.ndarray) -> np.ndarray:
        """(n, t) float32 of these samples, at its temperature. Raises UserError where they are none."""
        values = self._of(ids).astype(np.float64)
        if not np.isfinite(values).all():
            raise UserError(f"{self.shown}: {int((~np.isfinite(values)).sum())} values are not finite")
        if self._read().kind != "logits":
            values = self._normalised(values, ids)
            if self.temperature == 1:
                return values.astype(np.float32)
            with np.errstate(divide="ignore"):
                values = np.log(values)
        return special.softmax(values / self.temperature, axis=1).astype(np.float32)

    def _normalised(self, values: np.ndarray, ids: np.ndarray) -> np.ndarray:
        wrong = (values < 0).any(1) | (np.abs(values.sum(1) - 1) > 1e-3)
        if wrong.any():
            raise UserError(
                f"{self.shown}: expected probabilities, 0 or more and 1 in all, found others for {wrong.sum()} samples "
                f"({examples(ids[wrong].tolist())})"
            )
        return values / values.sum(1, keepdims=True)

    def digest(self, ids: np.ndarray) -> str:
        """SHA-256 of these ids and of what it says of those that it knows: all that a run was trained on, no others."""
        found = self._read()
        sha = hashlib.sha256("\n".join([found.kind, *found.targets.tolist(), "", *ids.tolist()]).encode())
        sha.update(np.ascontiguousarray(self._of(ids[np.isin(ids, found.ids)])).tobytes())
        return sha.hexdigest()

    def _of(self, ids: np.ndarray) -> np.ndarray:
        found = self._read()
        row = {name: number for number, name in enumerate(found.ids.tolist())}
        if unknown := [name for name in ids.tolist() if name not in row]:
            raise UserError(
                f"{self.shown}: no predictions for {len(unknown)} of the {len(ids)} labelled samples "
                f"({examples(unknown)}); it has {len(row)} ({examples(row, 2)}). A teacher has to know training and "
                "validation samples: out-of-fold predictions do, or the files of several splits together"
            )
        return found.values[[row[name] for name in ids.tolist()]]

    def _read(self) -> "submit.Predictions":
        try:
            states = tuple((file, Path(file).stat().st_mtime_ns) for file in self.files)
        except OSError as error:
            raise UserError(f"Teacher.predictions: {error.filename}: {error.strerror}") from None
        return _joined(states)


@lru_cache(maxsize=2)  # asked for its names, its values and their digest
def _joined(states: tuple[tuple[str, int], ...]) -> "submit.Predictions":
    """The predictions of files, one after the other. Raises UserError where they do not go together."""
    try:
        parts = [submit.Predictions.load(file) for file, _ in states]
    except submit.SubmissionError as error:
        raise UserError(f"Teacher.predictions: {error}") from None
    for (file, _), part in zip(states, parts, strict=True):
        if (part.kind, part.targets.tolist()) != (parts[0].kind, parts[0].targets.tolist()):
            raise UserError(
                f"Teacher.predictions: {file} and {states[0][0]} have other targets, or another kind"
            )
    ids = np.concatenate([part.ids for part in parts])
    if twice := duplicates(ids).tolist():
        raise UserError(
            f"Teacher.predictions: {len(twice)} samples are in several files ({examples(twice)}): expected each once"
        )
    return submit.Predictions(
        ids, np.concatenate([part.values for part in parts]), parts[0].targets, parts[0].kind
    )
