"""A fitted ridge regression: weights of features where they are few enough to keep, else of training rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jaxlab.core.precision import narrowed
from jaxlab.core.types import UserError
from jaxlab.encode.bands import Band, Scaling, kernel
from jaxlab.encode.eigen import Basis
from jaxlab.encode.extract import FeatureSet
from jaxlab.encode.folds import coefficients

PRIMAL_BYTES = 2 << 30

Leaves = dict[str, dict[str, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Fitted:
    """y = intercept + sum over bands of scaled features @ weights[band], or of kernel(features, training's) @ rows.

    layers: {band: its layer}. scalings: {band: what its features are scaled by}. weights: {band: (d, t)}, or None.
    rows: (n, t), or None. intercept: (t,) float64, in older runs float32. alpha: (t,). fingerprint: of the training
    rows' features, which `rows` needs.
    """

    layers: Mapping[str, str]
    scalings: Mapping[str, Scaling]
    weights: Mapping[str, np.ndarray] | None
    rows: np.ndarray | None
    intercept: np.ndarray
    alpha: np.ndarray
    fingerprint: str

    def predict(self, features: FeatureSet, train: FeatureSet | None = None) -> np.ndarray:
        """(m, t) float32 or (`narrowed`) float64.

        train: the training rows' features, where weights are of rows (`rows`).

        Raises UserError where these are not the features that it was fitted on.
        """
        if self.weights is None and (train is None or train.fingerprint != self.fingerprint):
            found = "none" if train is None else train.fingerprint[:12]
            raise UserError(
                "this ridge solution weighs training images, so predicting needs their features as they were: expected "
                f"those of fingerprint {self.fingerprint[:12]}, found {found}. Give the data and weights of then"
            )
        out = np.tile(self.intercept, (len(features.ids), 1))
        for band, scaling in self.scalings.items():
            array = features.rows(self.layers[band])
            if self.weights is not None:
                weights = self.weights[band]
                for rows, part in scaling.blocks(array, partial(_predicted, weights), weights.size):
                    out[rows] += part
            elif train is not None and self.rows is not None:
                out += kernel(array, train.rows(self.layers[band]), scaling) @ self.rows
        return narrowed(out)

    @property
    def by_target(self) -> list[np.ndarray]:
        """Its arrays, whose last axis is that of the targets."""
        solution = [self.rows] if self.rows is not None else list((self.weights or {}).values())
        return [self.intercept, self.alpha, *solution]

    def of_targets(self, arrays: Sequence[np.ndarray]) -> "Fitted":
        """With others in their place, as those of more targets."""
        intercept, alpha, *solution = arrays
        if self.weights is None:
            return replace(self, intercept=intercept, alpha=alpha, rows=solution[0])
        weights = dict(zip(self.weights, solution, strict=True))
        return replace(self, intercept=intercept, alpha=alpha, weights=weights)

    def to_arrays(self) -> Leaves:
        """As a checkpoint holds it."""
        params = (
            {"rows": self.rows}
            if self.weights is None
            else {f"weights.{n}": w for n, w in self.weights.items()}
        )
        constants: dict[str, Any] = {"alpha": self.alpha}
        for name, scaling in self.scalings.items():
            constants |= {f"mean.{name}": scaling.mean, f"gain.{name}": scaling.gain}
        return {"params": {**params, "intercept": self.intercept}, "constants": constants}

    def record(self) -> dict[str, Any]:
        """What stands beside the arrays."""
        bands = {name: {"layer": self.layers[name], "blur": s.blur} for name, s in self.scalings.items()}
        return {"bands": bands, "features": self.fingerprint}

    @classmethod
    def from_arrays(cls, arrays: Leaves, record: Mapping[str, Any]) -> "Fitted":
        """The inverse of `to_arrays` and `record`."""
        params, constants = arrays["params"], arrays["constants"]
        bands: dict[str, Any] = record["bands"]
        scalings = {
            n: Scaling(b["blur"], constants[f"mean.{n}"], constants[f"gain.{n}"]) for n, b in bands.items()
        }
        rows = params.get("rows")
        return cls(
            layers={name: band["layer"] for name, band in bands.items()},
            scalings=scalings,
            weights=None if rows is not None else {name: params[f"weights.{name}"] for name in bands},
            rows=rows,
            intercept=params["intercept"],
            alpha=constants["alpha"],
            fingerprint=record["features"],
        )


def solve(
    whole: tuple[Basis, np.ndarray],
    scaled: Mapping[Band, Scaling],
    targets: np.ndarray,
    alpha: np.ndarray,
    fingerprint: str,
    total: int | None = None,
) -> Fitted:
    """The solution for all training rows. whole: as Design gives it. scaled: the bands in it, with their weights.

    total: how many targets there are, where these are some of them: they decide what is kept.
    """
    basis, back = whole
    found = coefficients(basis, back, targets, alpha)
    width = sum(band.width for band in scaled)
    weights: dict[str, np.ndarray] | None = None
    if len(back) == width < len(targets):  # primal
        ends = np.cumsum([band.width for band in scaled])[:-1]
        weights = {band.name: part for band, part in zip(scaled, np.split(found, ends), strict=True)}
    elif width * (total or targets.shape[1]) * 4 <= PRIMAL_BYTES:
        weights = {band.name: _onto_features(band, scaling, found) for band, scaling in scaled.items()}
    return Fitted(
        layers={band.name: band.layer for band in scaled},
        scalings={band.name: scaling for band, scaling in scaled.items()},
        weights=weights,
        rows=None if weights is not None else found,
        intercept=targets.mean(0, dtype=np.float64),
        alpha=alpha,
        fingerprint=fingerprint,
    )


def of_rows(
    scaled: Mapping[Band, Scaling],
    rows: np.ndarray,
    intercept: np.ndarray,
    alpha: np.ndarray,
    fingerprint: str,
) -> Fitted:
    """From weights (n, t) of training rows: those of features, where they are few enough. Others as in `Fitted`."""
    few = sum(band.width for band in scaled) * rows.shape[1] * 4 <= PRIMAL_BYTES
    return Fitted(
        layers={band.name: band.layer for band in scaled},
        scalings={band.name: scaling for band, scaling in scaled.items()},
        weights={band.name: _onto_features(band, s, rows) for band, s in scaled.items()} if few else None,
        rows=None if few else rows,
        intercept=intercept,
        alpha=alpha,
        fingerprint=fingerprint,
    )


def _onto_features(band: Band, scaling: Scaling, rows: np.ndarray) -> np.ndarray:
    """(d, t): scaled features' @ rows."""
    total = np.zeros((band.width, rows.shape[1]), np.float32)

    def block(where: slice, x: Array) -> Array:
        return jnp.matmul(x.T, jnp.asarray(rows[where]), precision="highest")

    for _, part in scaling.blocks(band.array, block, total.size):
        total += part
    return total


def _predicted(weights: np.ndarray, _: slice, x: Array) -> Array:
    return jnp.matmul(x, jnp.asarray(weights), precision="highest")
