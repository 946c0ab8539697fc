"""Streaming Pearson r, explained variance, squared error and spread of each target."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxlab.metrics import over_targets
from jaxlab.metrics.reduce import largest, total
from jaxlab.metrics.terms import means_of_terms, terms_added

_LEAST = -126  # the exponent of float32's least normal number: the unit of what has been 0 so far


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class RegressionSums:
    """Count, means and centred second moments of predictions x and truth y, a target each.

    Batches are merged by the pairwise update of Chan, Golub & LeVeque (1983): nothing cancels, so float32 is
    enough. Values are taken above an origin, the first batch's mean, which may be large beside their spread;
    so are mean_x and mean_y. They are in units, powers of two near the largest value so far, so that no square
    overflows or vanishes, whatever the targets are measured in; multiplying by such rounds nothing.
    The loss is summed beside them, and what it adds up (`terms`).

    rows: where targets may be missing (NaN in y), how many rows there were; `count` is then each target's own.
    """

    count: Float[Array, ""] | Float[Array, " t"]
    loss: Float[Array, ""]
    origin_x: Float[Array, " t"]
    origin_y: Float[Array, " t"]
    mean_x: Float[Array, " t"]
    mean_y: Float[Array, " t"]
    xx: Float[Array, " t"]
    yy: Float[Array, " t"]
    xy: Float[Array, " t"]
    unit_x: Int[Array, " t"]
    unit_y: Int[Array, " t"]
    rows: Float[Array, ""] | None = None
    terms: dict[str, Float[Array, ""]] = field(default_factory=dict)

    @classmethod
    def start(cls, targets: int, missing: bool = False, terms: Iterable[str] = ()) -> Self:
        """Sums over no samples. missing: whether some targets' truth may be NaN, which then counts as nothing.

        terms: names of what the loss adds up.
        """
        zero, zeros = jnp.zeros(()), jnp.zeros(targets)
        units = jnp.full(targets, _LEAST, jnp.int32)
        moments = (zeros, zeros, zeros, zeros, zeros, zeros, zeros, units, units)
        each = dict.fromkeys(terms, zero)
        return cls(zeros, zero, *moments, zero, each) if missing else cls(zero, zero, *moments, None, each)

    def add(
        self,
        x: Float[Array, "b t"],
        y: Float[Array, "b t"],
        loss: Float[Array, " b"],
        mask: Bool[Array, " b"] | None = None,
        axis_name: str | None = None,
        terms: Mapping[str, Float[Array, " b"]] | None = None,
    ) -> Self:
        """These sums with a batch of predictions x and truth y added. terms: those of the loss, where it has such."""
        rows, whole = total(jnp.ones(len(x)), mask, axis_name), mask
        count = rows
        if self.rows is not None:
            known = ~jnp.isnan(y)
            y = jnp.where(known, y, 0.0)
            mask = known if mask is None else known & mask[:, None]
            count = total(jnp.ones_like(x), mask, axis_name)
        both = self.count + count
        share = count / jnp.maximum(both, 1)

        def mean(values: Float[Array, "b t"]) -> Float[Array, " t"]:
            return total(values, mask, axis_name) / jnp.maximum(count, 1)

        def side(
            values: Float[Array, "b t"], before: Int[Array, " t"], origin: Array, mean_before: Array
        ) -> tuple[Array, ...]:
            """Unit, factor of what is in that before, origin, deviations from the batch's mean, and the mean's step."""
            unit = jnp.maximum(before, _exponent(largest(values, mask, axis_name)))
            less = _power(before - unit)
            values = values * _power(-unit)[None]
            origin = jnp.where(self.count == 0, mean(values), origin * less)
            values = values - origin[None]
            batch_mean = mean(values)
            step = batch_mean - mean_before * less
            return unit, less, origin, values - batch_mean[None], step

        unit_x, less_x, origin_x, dx, step_x = side(x, self.unit_x, self.origin_x, self.mean_x)
        unit_y, less_y, origin_y, dy, step_y = side(y, self.unit_y, self.origin_y, self.mean_y)
        between = self.count * share
        return type(self)(
            count=both,
            loss=self.loss + total(loss, whole, axis_name),
            origin_x=origin_x,
            origin_y=origin_y,
            mean_x=self.mean_x * less_x + share * step_x,
            mean_y=self.mean_y * less_y + share * step_y,
            xx=self.xx * less_x * less_x + total(dx * dx, mask, axis_name) + between * step_x * step_x,
            yy=self.yy * less_y * less_y + total(dy * dy, mask, axis_name) + between * step_y * step_y,
            xy=self.xy * less_x * less_y + total(dx * dy, mask, axis_name) + between * step_x * step_y,
            unit_x=unit_x,
            unit_y=unit_y,
            rows=None if self.rows is None else self.rows + rows,
            terms=terms_added(self.terms, terms, whole, axis_name),
        )

    def per_target(self) -> dict[str, np.ndarray]:
        """(t,) float64 arrays: pearson, explained_variance, mse, spread_ratio. NaN where a target is constant."""
        with np.errstate(invalid="ignore", divide="ignore"):
            n, xx, yy, xy = (np.asarray(a, np.float64) for a in (self.count, self.xx, self.yy, self.xy))
            in_x, in_y = (np.ldexp(1.0, np.asarray(unit)) for unit in (self.unit_x, self.unit_y))
            mx = np.asarray(self.origin_x, np.float64) + np.asarray(self.mean_x, np.float64)
            my = np.asarray(self.origin_y, np.float64) + np.asarray(self.mean_y, np.float64)
            flat = _constant(yy, my, n)
            still = _constant(xx, mx, n)
            r = np.where(flat | still, np.nan, xy / np.sqrt(xx * yy))
            xx, yy, xy, mx, my = xx * in_x**2, yy * in_y**2, xy * in_x * in_y, mx * in_x, my * in_y
            residual = np.maximum(xx + yy - 2 * xy, 0)
            return {
                "pearson": r,
                "explained_variance": np.where(flat, np.nan, 1 - residual / yy),
                "mse": residual / n + (mx - my) ** 2,
                "spread_ratio": np.where(flat, np.nan, np.where(still, 0, np.sqrt(xx / yy))),
            }

    def compute(self, ceiling: np.ndarray | None = None) -> dict[str, float]:
        """Means and medians over targets; a constant target or prediction counts as 0 (and is counted).

        A score is NaN where it is undefined of every target, as all are of one sample (`over_targets`). The spread
        ratio is that of the targets that vary.
        Where targets may be missing, one that is known of a single sample, or of none, has no part in what one sample
        cannot tell: it did not fail.
        ceiling: (t,) fraction of variance that is signal; gives `noise_normalised`, the mean of
        r / sqrt(ceiling) over targets with a ceiling above 0.
        """
        sums = jax.device_get(self)
        each, rows = sums.per_target(), sums.count
        error = each["mse"]
        told = np.ones(len(error), bool)
        if sums.rows is not None:
            error, told, rows = error[sums.count > 0], sums.count > 1, sums.rows
        each = {name: values[told] for name, values in each.items()}
        r = each["pearson"]
        found = {
            "loss": float(sums.loss / max(rows, 1)),
            "pearson": over_targets.mean(r),
            "pearson_median": over_targets.median(r),
            "explained_variance": over_targets.mean(each["explained_variance"]),
            "mse": float(error.mean()) if len(error) else float("nan"),
            "spread_ratio": over_targets.of_known(each["spread_ratio"], np.mean),
            "spread_ratio_median": over_targets.of_known(each["spread_ratio"], np.median),
            "constant_targets": int(np.isnan(r).sum()),
        }
        if (
            ceiling is not None and (ceiling > 0).any()
        ):  # whichever targets are known here, so that names are the same
            signal = ceiling[told]
            known = signal > 0
            found["noise_normalised"] = over_targets.mean(r[known] / np.sqrt(signal[known]))
        return found | means_of_terms(sums.terms, rows)


def _constant(squares: np.ndarray, mean: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Which targets vary by no more than float32 rounds their mean."""
    return squares <= 1e-12 * count * mean * mean


def _exponent(sizes: Float[Array, " t"]) -> Int[Array, " t"]:
    """Of the least power of two above each, as far as float32 has its inverse; of 0 and infinity the least of all."""
    found = jnp.minimum(jnp.frexp(sizes)[1], -_LEAST)
    return jnp.where(jnp.isfinite(sizes) & (sizes > 0), found, _LEAST)


def _power(exponent: Int[Array, " t"]) -> Float[Array, " t"]:
    """2^exponent, exactly."""
    return jnp.ldexp(jnp.ones(exponent.shape), exponent)
