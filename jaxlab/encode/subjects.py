"""Ridge regression of pooled subjects: each by itself, or with a share of what the others' have found."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from jaxlab.core.types import UserError
from jaxlab.encode import shared
from jaxlab.encode.bands import Band, kernel
from jaxlab.encode.design import Designs
from jaxlab.encode.extract import FeatureSet
from jaxlab.encode.fitted import Fitted, Leaves, of_rows
from jaxlab.encode.joint import ALONE, Joint
from jaxlab.encode.ridge import BandScore, Outcome, Ridge, bands_of, fit, weights_of
from jaxlab.encode.shared import Subject

_MOST = 4 << 30  # bytes of the kernel of all subjects' rows

Step = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class FittedSubjects:
    """A regression for each subject; what they predict lies side by side.

    rows: {subject: (n,) its rows among all training rows}, which regressions that weigh those need.
    """

    parts: Mapping[str, Fitted]
    rows: Mapping[str, np.ndarray]

    @property
    def weights(self) -> Any:
        """None where some of them weighs training rows."""
        return None if any(part.weights is None for part in self.parts.values()) else self.parts

    def predict(self, features: FeatureSet, train: FeatureSet | None = None) -> np.ndarray:
        """(m, t) of all targets. train: all training rows' features. Errors as those of `Fitted`."""
        return np.concatenate([self.of(name, features, train) for name in self.parts], axis=1)

    def of(self, name: str, features: FeatureSet, train: FeatureSet | None = None) -> np.ndarray:
        """(m, t) of one subject's targets."""
        part = self.parts[name]
        if part.weights is None and train is not None and part.fingerprint != train.fingerprint:
            train = train.of(self.rows[name])
        return part.predict(features, train)

    def to_arrays(self) -> Leaves:
        """As a checkpoint holds it."""
        found: Leaves = {"params": {}, "constants": {}}
        for name, part in self.parts.items():
            for kind, leaves in part.to_arrays().items():
                found[kind] |= {f"{name}/{leaf}": array for leaf, array in leaves.items()}
            found["constants"][f"{name}/training_rows"] = self.rows[name]
        return found

    def record(self) -> dict[str, Any]:
        """What stands beside the arrays."""
        return {"subjects": {name: part.record() for name, part in self.parts.items()}}

    @classmethod
    def from_arrays(cls, arrays: Leaves, record: Mapping[str, Any]) -> Self:
        """The inverse of `to_arrays` and `record`."""
        parts, rows = {}, {}
        for name, own in record["subjects"].items():
            start = f"{name}/"
            leaves = {
                kind: {
                    key.removeprefix(start): array for key, array in found.items() if key.startswith(start)
                }
                for kind, found in arrays.items()
            }
            rows[name] = leaves["constants"].pop("training_rows")
            parts[name] = Fitted.from_arrays(leaves, own)
        return cls(parts, rows)


def fit_subjects(
    config: Ridge,
    features: FeatureSet,
    subjects: Mapping[str, Subject],
    step: Step,
    joint: Joint = ALONE,
) -> dict[str, Outcome]:
    """{subject: its regression}. features: of all subjects' training rows. step: told what comes next.

    joint: processes that call this as one, of which the first has it; regressions that share are fitted by it alone.
    """
    if config.shared:
        return _fit_shared(config, features, subjects, step) if joint.writes else {}
    found = {}
    for name, one in subjects.items():
        fold = np.unique(one.fold, return_inverse=True)[1]
        found[name] = fit(config, features.of(one.rows), one.targets, fold, _of(name, step), joint)
    return found


def check_room(rows: int) -> None:
    """Raises UserError where sharing would take too much memory, before features are made."""
    if (size := rows * rows * 4) > _MOST:
        raise UserError(
            f"Ridge.shared: the kernel of all {rows:,} training images would take {size / 2**30:.0f} GB, expected "
            f"{_MOST >> 30} or less; set limit to {int((_MOST / 4) ** 0.5):,} images or fewer, or leave shared out"
        )


def _fit_shared(
    config: Ridge, features: FeatureSet, subjects: Mapping[str, Subject], step: Step
) -> dict[str, Outcome]:
    fold = np.zeros(len(features.ids), np.int64)
    for one in subjects.values():
        fold[one.rows] = one.fold
    bands = bands_of(config, features, fold, step)
    weights = _weights(config, bands, subjects, step)
    scaled = {
        band: band.scaling(config.standardize).times(weight)
        for band, weight in zip(bands, weights.tolist(), strict=True)
        if weight > 0
    }
    products = np.zeros((len(fold), len(fold)), np.float32)
    for band, scaling in scaled.items():
        step(f"{band.name}, kernel of all subjects")
        products += kernel(band.array, None, scaling)
    numbers = [*np.unique(fold).tolist(), None]
    lone, functions = {}, {}
    for name, one in subjects.items():
        step(f"{name}, on its own")
        block = products[np.ix_(one.rows, one.rows)]
        lone[name] = shared.choose(block, one, config.alphas, config.score)
        functions[name] = shared.components(block, one, lone[name].alpha, config.components, numbers)
    found = {}
    for name, one in subjects.items():
        step(f"{name}, with the others")
        others = {other: functions[other] for other in subjects if other != name}
        told: dict[int | None, np.ndarray] = {
            number: shared.said(products, subjects, name, {other: f[number] for other, f in others.items()})
            for number in one.numbers
        }
        block = products[np.ix_(one.rows, one.rows)]
        chosen = shared.best([
            shared.choose(block, one, config.alphas, config.score, share, told) if share else lone[name]
            for share in sorted(config.shared)
        ])  # fmt: skip
        rows, intercept = shared.solution(
            products, subjects, name, {other: f[None] for other, f in others.items()}, chosen
        )
        fitted = of_rows(scaled, rows, intercept, chosen.alpha, features.fingerprint)
        found[name] = Outcome(fitted, _scores(lone[name], chosen), chosen.out_of_fold)
    return found


def _weights(config: Ridge, bands: Sequence[Band], subjects: Mapping[str, Subject], step: Step) -> np.ndarray:
    """(b,) the mean over subjects of what is found for each."""
    each = []
    for name, one in subjects.items():
        fold = np.unique(one.fold, return_inverse=True)[1]
        designs = Designs(config.standardize, in_primal=False)
        each.append(weights_of(config, bands, designs, (), one.rows, one.targets, fold, _of(name, step)))
    return np.mean(each, axis=0)


def _scores(lone: shared.Chosen, chosen: shared.Chosen) -> list[BandScore]:
    rows = [BandScore("on its own", lone.score, lone.alpha)]
    return [*rows, BandScore(f"share {chosen.share:g} of others", chosen.score, chosen.alpha)]


def _of(name: str, step: Step) -> Step:
    return lambda what: step(f"{name}, {what}")
