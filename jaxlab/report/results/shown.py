"""The images that a run predicts best and worst, with what it predicts of them."""

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image
from scipy.special import log_softmax

from jaxlab.core.types import UserError
from jaxlab.report import frame
from jaxlab.report.audit_figures import padded
from jaxlab.report.results.evidence import Evidence
from jaxlab.report.results.section import Section, missing, paragraph

_EACH = 8
_JUDGED = 4000  # targets by which images are told apart: of a whole brain an even sample does
_LINE = 60  # targets of which a line is drawn


def section(evidence: Evidence) -> Section:
    """Eight of each kind."""
    scores, words = _judged(evidence)
    order = np.argsort(-scores, kind="stable")
    order = order[np.isfinite(scores[order])]
    if len(order) < 2:
        return Section("Images", missing(["No image can be told from another by how well it is predicted."]))
    half = min(_EACH, len(order) // 2)
    best, worst = order[:half], order[::-1][:half]
    parts = [paragraph(words)]
    for title, rows in (("Best predicted", best), ("Worst predicted", worst)):
        parts += [f"<h3>{title}</h3>", f'<div class="images">{"".join(_shown(evidence, rows))}</div>']
    return Section("Images", tuple(parts))


def _judged(evidence: Evidence) -> tuple[np.ndarray, str]:
    """(n,) how well each sample is predicted, NaN where that is undefined, and what that is."""
    values, truth = evidence.values, evidence.truth
    if truth.ndim == 1:
        logits = np.where(np.isfinite(values).all(1, keepdims=True), values, 0).astype(np.float64)
        own = log_softmax(logits, 1)[np.arange(len(truth)), np.maximum(truth, 0)]
        bad = (truth < 0) | ~np.isfinite(values).all(1)
        return np.where(bad, np.nan, own), "By the probability of the true class."
    some = np.unique(np.linspace(0, values.shape[1] - 1, _JUDGED).astype(int))
    values, truth = values[:, some].astype(np.float64), truth[:, some].astype(np.float64)
    with np.errstate(all="ignore"):
        mean, scale = np.nanmean(truth, 0), np.nanstd(truth, 0)
        varies = scale > 0
        bad = ~np.isfinite(values).all(1) | ~varies.any()
        mean, scale = mean[varies], scale[varies]
        predicted, real = (np.nan_to_num((side[:, varies] - mean) / scale) for side in (values, truth))
        if varies.sum() < 5:
            error = np.square(predicted - real).sum(1) / max(varies.sum(), 1)
            return np.where(bad, np.nan, -error), "By squared error, in standard deviations of the truth."
        a, b = (side - side.mean(1, keepdims=True) for side in (predicted, real))
        r = (a * b).sum(1) / np.sqrt(np.square(a).sum(1) * np.square(b).sum(1))
    words = "By the correlation over targets between prediction and truth, each target standardised."
    return np.where(
        bad, np.nan, r
    ), f"{words} Lines: truth in grey, prediction in blue, one target beside another."


def _shown(evidence: Evidence, rows: np.ndarray) -> Iterator[str]:
    samples = evidence.run.opened.train
    for row in rows.tolist():
        try:
            picture = frame.image(
                _jpeg(samples.read(int(evidence.rows[row]))), str(evidence.predictions.ids[row]), "jpeg"
            )
        except (UserError, OSError, ValueError) as error:
            picture = f'<span class="missing">{frame.text(error)}</span>'
        caption = f"<figcaption>{_caption(evidence, row)}</figcaption>"
        yield f"<figure>{picture}{_line(evidence, row)}{caption}</figure>"


def _caption(evidence: Evidence, row: int) -> str:
    name, values, truth = (evidence.predictions.ids[row], evidence.values[row], evidence.truth[row])
    columns, asked = evidence.run.opened.train.columns, evidence.run.asks
    name = ", ".join([str(name), *(str(columns[column][evidence.rows[row]]) for column in asked)])
    if evidence.truth.ndim == 1:
        p = np.exp(log_softmax(values.astype(np.float64)))
        told = f"{evidence.predictions.targets[truth]}, p = {p[truth]:.2f}"
        first = int(values.argmax())
        if first != truth:
            told += f"; taken for {evidence.predictions.targets[first]}, p = {p[first]:.2f}"
        return frame.text(f"{name}: {told}")
    if len(values) == 1:
        return frame.text(f"{name}: {values[0]:.3g} for {truth[0]:.3g}")
    return frame.text(name)


def _line(evidence: Evidence, row: int) -> str:
    """Predictions of a sample beside its truth, over targets, as a small drawing."""
    if evidence.truth.ndim == 1 or evidence.values.shape[1] < 3:
        return ""
    targets = np.unique(np.linspace(0, evidence.values.shape[1] - 1, _LINE).astype(int))
    truth = evidence.truth[:, targets].astype(np.float64)
    with np.errstate(all="ignore"):
        mean, scale = np.nanmean(truth, 0), np.nanstd(truth, 0)
        both = [
            (side - mean) / np.where(scale > 0, scale, 1)
            for side in (truth[row], evidence.values[row, targets])
        ]
    x = np.linspace(2, 94, len(targets))
    lines = []
    for values, colour in zip(both, ("#999", "#2166ac"), strict=True):
        y = 18 - 5 * np.clip(np.nan_to_num(values), -3, 3)
        points = " ".join(f"{a:.0f},{b:.1f}" for a, b in zip(x, y, strict=True))
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.2"/>')
    return f'<svg viewBox="0 0 96 36" width="96" height="36" aria-hidden="true">{"".join(lines)}</svg>'


def _jpeg(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(padded(image)).save(buffer, "jpeg", quality=80)
    return buffer.getvalue()
