"""Pictures of an audit, as PNG: single images, pairs side by side, distributions."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from jaxlab.core.blocks import column_of
from jaxlab.data.audit.audit import Audit, Entry
from jaxlab.data.resizing import resize, with_channels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_THUMBNAIL = 96
_IMAGES = 30  # of a split
_SHOWN = 12  # targets that are drawn one by one


def spread(entries: Sequence[Entry]) -> list[Entry]:
    """Up to 30 images, evenly spread over a split."""
    return [entries[k] for k in np.unique(np.linspace(0, len(entries) - 1, _IMAGES).round().astype(int))]


def single(entry: Entry) -> bytes:
    """One image, padded to a square."""
    return _png(thumbnail(entry))


def pair_picture(first: Entry, second: Entry) -> bytes:
    """Two images side by side."""
    gap = np.full((_THUMBNAIL, 4, 3), 255, np.uint8)
    return _png(np.concatenate([thumbnail(first), gap, thumbnail(second)], axis=1))


def thumbnail(entry: Entry) -> np.ndarray:
    """`padded`, of an entry."""
    return padded(entry.read())


def padded(image: np.ndarray) -> np.ndarray:
    """(96, 96, 3) uint8 with white padding; floats are stretched from their lowest to their highest value."""
    image = with_channels(image[..., : 3 if image.shape[-1] >= 3 else 1], 3)  # without masks behind them
    if image.dtype != np.uint8:
        low, high = float(image.min()), float(image.max())
        image = np.round(255 * (image - low) / max(high - low, 1e-12)).astype(np.uint8)
    height, width = image.shape[:2]
    scale = _THUMBNAIL / max(height, width)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    small = resize(image, size, "stretch", "area")
    sheet = np.full((_THUMBNAIL, _THUMBNAIL, 3), 255, np.uint8)
    top, left = (_THUMBNAIL - size[0]) // 2, (_THUMBNAIL - size[1]) // 2
    sheet[top : top + size[0], left : left + size[1]] = small
    return sheet


def luminance(audit: Audit) -> bytes:
    """Each split's distribution of the images' mean and standard deviation: splits should agree."""
    figure, grid = _figure(1, 2)
    of_split = {split: _mean_and_std(audit.of(split)) for split in audit.splits}
    for k, (axes, title) in enumerate(zip(grid, ("mean", "standard deviation"), strict=True)):
        bins = np.histogram_bin_edges(np.concatenate([values[k] for values in of_split.values()]), 30)
        for split, values in of_split.items():
            axes.hist(values[k], bins=bins, density=len(values[k]) > 0, histtype="step", lw=1.5, label=split)
        axes.set(title=f"{title} of an image", xlabel="pixel values", ylabel="density of images")
    grid[0].legend(frameon=False)
    return _drawn(figure)


def _mean_and_std(entries: Sequence[Entry]) -> np.ndarray:
    """(2, n) of each image's values, over its pixels and colours."""
    measured = [entry.measured for entry in entries if entry.measured is not None]
    pixels = np.array([np.prod(one.size) for one in measured], np.float64).reshape(-1, 1)
    mean, square = (np.array([one.sums.mean(1) for one in measured]).reshape(-1, 2) / pixels).T
    return np.stack([mean, np.sqrt(np.maximum(square - mean**2, 0))])


def targets(audit: Audit) -> bytes | None:
    """Histograms of up to 12 targets, those of the largest skew among them last."""
    target, found = audit.opened.train.target, audit.moments
    if target is None or found is None:
        return None
    order = np.argsort(np.abs(found.skew))
    chosen = order[np.unique(np.linspace(0, len(order) - 1, _SHOWN).round().astype(int))]
    rows = -(-len(chosen) // 4)
    figure, grid = _figure(rows, 4)
    for axes, column in zip(grid, chosen.tolist(), strict=False):
        axes.hist(column_of(target, column), bins=30, color="C0")
        axes.set_title(f"{audit.opened.targets[column]} (skew {found.skew[column]:.2g})", fontsize=8)
        axes.set_xlabel("value of the target", fontsize=8)
        axes.set_ylabel("samples", fontsize=8)
    for axes in grid[len(chosen) :]:
        axes.set_visible(False)
    return _drawn(figure)


def summary(audit: Audit) -> bytes | None:
    """How means, spreads and shapes are distributed over targets."""
    found = audit.moments
    if found is None or len(found.mean) < 2:
        return None
    figure, grid = _figure(1, 4)
    for axes, name in zip(grid, ("mean", "std", "skew", "kurtosis"), strict=True):
        axes.hist(getattr(found, name), bins=30, color="C1")
        axes.set_title(f"{name} of a target", fontsize=9)
        axes.set_xlabel(name, fontsize=8)
        axes.set_ylabel("targets", fontsize=8)
    return _drawn(figure)


def classes(audit: Audit) -> bytes | None:
    """Bars of the classes' samples by split, up to 40 of them."""
    if not audit.classes:
        return None
    ordered = sorted(audit.classes.items(), key=lambda item: -sum(item[1].values()))[:40]
    names = [name for name, _ in ordered]
    figure, (axes,) = _figure(1, 1)
    base = np.zeros(len(ordered))
    for split in audit.rows:
        counts = np.array([count[split] for _, count in ordered])
        axes.bar(names, counts, bottom=base, label=split)
        base += counts
    axes.tick_params(axis="x", rotation=60 if len(names) > 8 else 0)
    axes.set(xlabel="class", ylabel="samples")
    axes.legend(frameon=False)
    return _drawn(figure)


def _figure(rows: int, columns: int) -> tuple["Figure", np.ndarray]:
    from matplotlib.figure import Figure  # half a second, and only pictures need it

    figure = Figure(figsize=(9.6, 2.2 * rows + 0.6), layout="constrained")
    grid = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for axes in grid:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    return figure, grid


def _drawn(figure: "Figure") -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=110)
    return buffer.getvalue()


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png")
    return buffer.getvalue()
