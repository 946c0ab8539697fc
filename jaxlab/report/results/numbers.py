"""Predictions of numbers against their targets: together, by target, by region and where targets lie."""

from collections.abc import Iterator, Mapping

import numpy as np

from jaxlab.core.words import counted
from jaxlab.report import frame
from jaxlab.report.drawing import AFTER, FAINT, Picture, canvas, label, whole
from jaxlab.report.results.evidence import Evidence
from jaxlab.report.results.section import Part, Section, missing
from submit import figures
from submit.scores.by_target import ByTarget
from submit.scores.rosetta import OVERALL

_POINTS = 4000
_NAMED = 1500  # points of which each says what it is; of more a page would grow by megabytes
_REGIONS = 40


def sections(evidence: Evidence, found: ByTarget) -> Iterator[Section]:
    """found: `evidence.found`."""
    yield Section("Predictions against targets", tuple(_against(evidence, found)))
    yield Section(f"By target ({len(found.targets):,})", tuple(_by_target(found)))
    if len(found.regions) > 1:
        yield Section("By region", tuple(_by_region(found)))


def _against(evidence: Evidence, found: ByTarget) -> Iterator[Part]:
    pairs = standardised(evidence.truth, evidence.values)
    if not len(pairs):
        yield from missing(
            ["No scatter and no distributions: every target is constant, or nothing is finite."]
        )
        return
    total = evidence.values.size
    yield scatter(pairs, total)
    before = {"before training": evidence.before} if isinstance(evidence.before, ByTarget) else {}
    drawn: Mapping[str, ByTarget] = {"after" if before else "predicted": found, **before}
    with canvas() as (figure, axes):
        figures.values_on(axes, {name: one.histogram for name, one in drawn.items()})
        high = 1.3 * max(found.histogram.truth.max(), found.histogram.predicted.max())
        axes.set(ylim=(0, max(high, 1e-9)))  # before training all may lie in one bin
    label = "standard deviations of the truth about its mean"
    axes.set(xlabel=label, ylabel="density")
    yield Picture("distributions", "How predictions are distributed beside their truth, all targets", figure)
    if np.isfinite(found.each["spread_ratio"]).sum() > 1:
        yield _spread(drawn)
    yield from _examples(evidence, found)


def standardised(truth: np.ndarray, values: np.ndarray, most: int = _POINTS) -> np.ndarray:
    """(k, 2) truth and prediction of up to `most` cells, drawn evenly, in each target's standard deviations of truth.

    Of targets that vary, and what is finite.
    """
    n, t = values.shape
    cells = np.random.default_rng(0).permutation(n * t)[: 2 * most] if n * t < 10 * most else None
    if cells is None:
        cells = np.random.default_rng(0).integers(n * t, size=2 * most)
    rows, columns = np.divmod(cells, t)
    kept, back = np.unique(columns, return_inverse=True)
    with np.errstate(all="ignore"):
        of = truth[:, kept].astype(np.float64)
        known = np.maximum((~np.isnan(of)).sum(0), 1)
        mean = np.nansum(of, 0) / known
        scale = np.sqrt(np.nansum(np.square(of - mean), 0) / known)
        scale[(np.fmin.reduce(of) == np.fmax.reduce(of)) | (scale == 0)] = np.nan
        both = np.stack([truth[rows, columns], values[rows, columns]], 1).astype(np.float64)
        both = (both - mean[back, None]) / scale[back, None]
    return both[np.isfinite(both).all(1)][:most]


def scatter(pairs: np.ndarray, total: int) -> Picture:
    """pairs: as `standardised` has them, of `total` cells."""
    low, high = np.quantile(pairs, [0.001, 0.999])
    with canvas("truth, standard deviations about its mean", "predicted, likewise") as (figure, axes):
        axes.axline((low, low), (high, high), color=FAINT, zorder=0) if high > low else None
        size = 9 if len(pairs) < 500 else 3
        many = len(pairs) > _NAMED
        axes.scatter(*pairs.T, s=size, color=AFTER, alpha=0.35, lw=0, rasterized=many)
        axes.set(xlim=(low - 0.2, high + 0.2))
    some = "" if len(pairs) >= total else f"{len(pairs):,} of {total:,} "
    return Picture("scatter", f"Predictions against truth: {some}cells of samples and targets", figure)


def _spread(drawn: Mapping[str, ByTarget]) -> Picture:
    with canvas() as (figure, axes):
        figures.spread_on(axes, {name: one.each["spread_ratio"] for name, one in drawn.items()})
        if len(drawn) > 1:
            axes.legend()
        whole(axes)
    axes.set(xlabel="sd of predictions / sd of the truth", ylabel="targets")
    return Picture("spread", "Spread of predictions by target; 1 is that of the truth", figure)


def _examples(evidence: Evidence, found: ByTarget) -> Iterator[Picture]:
    """The best, the median and the worst target, in its own units."""
    r = found.each["pearson"]
    order = np.argsort(np.where(np.isnan(r), -np.inf, r))[::-1]
    order = order[~np.isnan(r[order])]
    if not len(order):
        return
    places = dict.fromkeys((0, len(order) // 2, len(order) - 1))
    names = ("best", "median", "worst") if len(order) > 1 else ("only",)
    rows = np.linspace(0, len(evidence.rows) - 1, min(len(evidence.rows), 600)).astype(int)
    for place, what in zip(places, names, strict=False):
        column = int(order[place])
        x, y = evidence.truth[rows, column], evidence.values[rows, column]
        with canvas("truth", "predicted") as (figure, axes):
            axes.scatter(x, y, s=8, color=AFTER, alpha=0.5, lw=0).set_gid("samples")
        ids = [str(one) for one in evidence.predictions.ids[rows][np.isfinite(x) & np.isfinite(y)]]
        words = f"The {what} target, {found.targets[column]}, in its own units: r = {r[column]:.3f}"
        yield Picture(f"target-{what}", words, figure, {"samples": ids})


def _by_target(found: ByTarget) -> Iterator[Part]:
    r, ceiling = found.each["pearson"], found.ceiling
    known = np.isfinite(r)
    if undefined := int((~known).sum()):
        yield from missing(
            [
                f"r of {counted(undefined, 'target')} is undefined: constant, or predicted so; it counts 0 in means."
            ]
        )
    if known.sum() < 2:
        return
    yield _histogram(r[known], ceiling)
    if ceiling is not None and (ceiling > 0).any():
        yield _beside_ceiling(found, r, ceiling)
    yield _table(found)


def _histogram(r: np.ndarray, ceiling: np.ndarray | None) -> Picture:
    top = None if ceiling is None else np.sqrt(np.clip(ceiling, 0, 1))
    low = min(0.0, float(r.min()), 0.0 if top is None else float(np.nanmin(top)))
    edges = np.linspace(low, 1, 31)
    with canvas("Pearson r", "targets") as (figure, axes):
        if top is not None:
            axes.hist(top, edges, color=FAINT, label="ceiling, the root of signal's share")
        axes.hist(r, edges, histtype="step", color=AFTER, lw=1.5, label="r")
        axes.axvline(r.mean(), color=AFTER, lw=0.8, ls="--", label=f"mean {r.mean():.3f}")
        axes.legend()
        whole(axes)
    return Picture(
        "targets", "Correlation by target" + (", and its ceiling" if top is not None else ""), figure
    )


def _beside_ceiling(found: ByTarget, r: np.ndarray, ceiling: np.ndarray) -> Picture:
    shown = np.flatnonzero(np.isfinite(r) & np.isfinite(ceiling))
    if len(shown) > _POINTS:
        shown = np.sort(np.random.default_rng(0).choice(shown, _POINTS, replace=False))
    many = len(shown) > _NAMED
    top = np.sqrt(np.clip(ceiling[shown], 0, 1))
    with canvas("ceiling, the root of signal's share", "Pearson r") as (figure, axes):
        axes.plot([0, 1], [0, 1], color=FAINT, zorder=0)
        points = axes.scatter(
            top, r[shown], s=4 if many else 12, color=AFTER, alpha=0.5, lw=0, rasterized=many
        )
        points.set_gid("targets")
        axes.set(xlim=(-0.02, 1.02), ylim=(min(-0.02, float(r[shown].min()) - 0.02), 1.02))
    titles = (
        []
        if many
        else [f"{found.targets[k]}: r {r[k]:.3f}, ceiling {np.sqrt(max(ceiling[k], 0)):.3f}" for k in shown]
    )
    return Picture("ceilings", "Each target beside its ceiling", figure, {"targets": titles})


def _table(found: ByTarget, most: int = 8) -> str:
    """The best and the worst targets."""
    r = found.each["pearson"]
    order = np.argsort(-np.where(np.isnan(r), -np.inf, r), kind="stable").tolist()
    chosen = order if len(order) <= 2 * most else [*order[:most], *order[-most:]]
    names = {
        "r": "pearson",
        "explained variance": "explained_variance",
        "mse": "mse",
        "spread": "spread_ratio",
    }
    rows = [
        (
            found.targets[k],
            *(
                f"{found.each[name][k]:.3g}" if np.isfinite(found.each[name][k]) else ""
                for name in names.values()
            ),
            *(() if found.ceiling is None else (f"{np.sqrt(max(found.ceiling[k], 0)):.3g}",)),
        )
        for k in chosen
    ]
    header = ("target", *names, *(() if found.ceiling is None else ("ceiling of r",)))
    what = "" if len(chosen) == len(order) else f": the best {most} and the worst {most}"
    return f"<details><summary>Scores by target{what}</summary>{frame.table(header, rows)}</details>"


def _by_region(found: ByTarget) -> Iterator[Part]:
    rows = found.rows()
    shown = {name: row for name, row in list(rows.items())[: _REGIONS + 1] if np.isfinite(row["pearson"])}
    if shown:
        size = (4.6, 0.8 + 0.2 * len(shown))
        names = [label(name) for name in shown]
        with canvas("mean Pearson r", size=size) as (figure, axes):
            axes.plot([row["pearson"] for row in shown.values()], names, "o", color=AFTER)
            axes.grid(axis="y", color=FAINT)
            axes.invert_yaxis()
        yield Picture("regions", f"Mean correlation by region ({OVERALL}: all targets)", figure)
    names_of = {
        "r": "pearson",
        "median": "pearson_median",
        "r / ceiling": "noise_normalised",
        "spread": "spread_ratio",
    }
    used = {label: name for label, name in names_of.items() if any(name in row for row in rows.values())}
    cells = [
        (region, f"{row['targets']:,}", *(_number(row.get(name)) for name in used.values()))
        for region, row in rows.items()
    ]
    yield frame.table(("region", "targets", *used), cells)


def mapped(found: ByTarget, at: np.ndarray) -> Picture:
    """Correlation where each target lies. at: (t, 2) in any unit."""
    r = found.each["pearson"]
    shown = np.flatnonzero(np.isfinite(r) & np.isfinite(at).all(1))
    many = len(shown) > _NAMED
    side = max(2.0, 26 - 2.2 * np.log2(max(len(shown), 1)))
    with canvas("first coordinate", "second", (4.6, 4.0)) as (figure, axes):
        points = axes.scatter(
            *at[shown].T, c=r[shown], s=side, cmap="viridis", vmin=r[shown].min(initial=0), rasterized=many
        )
        points.set_gid("map")
        axes.set_aspect("equal", adjustable="datalim")
        figure.colorbar(points, label="Pearson r", shrink=0.8)
    titles = [] if many else [f"{found.targets[k]}: r {r[k]:.3f}" for k in shown]
    return Picture("map", "Correlation where targets lie", figure, {"map": titles})


def _number(value: float | None) -> str:
    return "" if value is None or not np.isfinite(value) else f"{value:.4f}"
