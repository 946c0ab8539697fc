"""An audit as one HTML file: tables and pictures, nothing loaded from elsewhere."""

from pathlib import Path
from typing import Any

from jaxlab.core.words import counted
from jaxlab.data.audit.audit import Audit
from jaxlab.report import audit_figures as figures
from jaxlab.report import frame
from jaxlab.report.audit_tables import QUANTILES, alike_title, image_rows, target_rows

_PAIRS = 24


def write_page(audit: Audit, report: dict[str, Any], path: Path) -> None:
    """Write the page of `report`, which `describe` made of `audit`."""
    title = ", ".join(["Data audit: " + report["data"], *report["at"]])
    sections = [_findings(report), _images(audit, report), _targets(audit, report), _classes(audit, report)]
    frame.write(path, title, "\n".join([f"<h1>{frame.text(title)}</h1>", *sections, _alike(audit)]))


def _findings(report: dict[str, Any]) -> str:
    items = "".join(f"<li>{frame.text(sentence)}</li>" for sentence in report["findings"])
    return f"<h2>Findings</h2><ol>{items}</ol>" if items else "<h2>Findings</h2><p>Nothing seems amiss.</p>"


def _images(audit: Audit, report: dict[str, Any]) -> str:
    splits = report["splits"]
    parts = [
        "<h2>Images</h2>",
        frame.table(("", *splits), ((name, *cells) for name, cells in image_rows(splits))),
    ]
    parts.append(frame.image(figures.luminance(audit), "Distributions of images' mean and contrast by split"))
    for split in splits:
        if entries := audit.of(split):
            parts.append(f"<h3>{frame.text(split)}</h3>")
            parts += [_figure(figures.single(one), one.id, "one") for one in figures.spread(entries)]
    return "\n".join(parts)


def _targets(audit: Audit, report: dict[str, Any]) -> str:
    if not report["targets"]:
        return ""
    rows = ((name, *values) for name, values in target_rows(report["targets"]))
    parts = [
        f"<h2>{counted(len(report['targets']), 'target')}</h2>",
        frame.table(("over targets", *QUANTILES), rows),
    ]
    for picture, words in (
        (figures.summary(audit), "Distributions over targets"),
        (figures.targets(audit), "Histograms of targets"),
    ):
        parts += [] if picture is None else [frame.image(picture, words)]
    return "\n".join(parts)


def _classes(audit: Audit, report: dict[str, Any]) -> str:
    picture = figures.classes(audit)
    if picture is None:
        return ""
    title = counted(len(report["classes"]), "class", "classes")
    return f"<h2>{title}</h2>{frame.image(picture, 'Samples of each class by split')}"


def _alike(audit: Audit) -> str:
    if not audit.alike:
        return ""
    pairs = sorted(
        audit.alike, key=lambda pair: not pair.crosses
    )  # stable: the most alike first in each half
    shown = []
    for pair in pairs[:_PAIRS]:
        said = "copy" if pair.exact else f"{pair.bits} bits, r = {pair.correlation:.3f}"
        words = f"{pair.first.split} {pair.first.id} and {pair.second.split} {pair.second.id}: {said}"
        shown.append(_figure(figures.pair_picture(pair.first, pair.second), words))
    rest = f"<p>{_PAIRS} of them; those of two splits come first.</p>" if len(pairs) > _PAIRS else ""
    return f"<h2>{alike_title(len(pairs))}</h2>{rest}{''.join(shown)}"


def _figure(png: bytes, words: str, kind: str = "pair") -> str:
    """A picture with its words below. kind: "pair" or "one"."""
    return frame.figure(frame.image(png, words), words, kind)
