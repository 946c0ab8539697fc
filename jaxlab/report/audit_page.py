"""An audit as one HTML file: tables and pictures, nothing loaded from elsewhere."""

import base64
import html
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jaxlab.core.words import counted
from jaxlab.data.audit.audit import Audit
from jaxlab.report import audit_figures as figures
from jaxlab.report.audit_tables import QUANTILES, alike_title, image_rows, target_rows
from submit.files.atomic import atomic

_PAIRS = 24
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; } th, td { padding: .15rem .8rem .15rem 0; text-align: right; }
th:first-child, td:first-child { text-align: left; } th { border-bottom: 1px solid #bbb; font-weight: 600; }
img { max-width: 100%; } figure { display: inline-block; margin: .4rem 1rem .4rem 0; vertical-align: top; }
figure { max-width: 196px; } figcaption { font-size: .8rem; color: #555; overflow-wrap: anywhere; }
figure.one { max-width: 96px; margin: .2rem .3rem; }
li { margin: .4rem 0; overflow-wrap: anywhere; }
"""


def write_page(audit: Audit, report: dict[str, Any], path: Path) -> None:
    """Write the page of `report`, which `describe` made of `audit`."""
    title = ", ".join(["Data audit: " + report["data"], *report["at"]])
    sections = [_findings(report), _images(audit, report), _targets(audit, report), _classes(audit, report)]
    body = "\n".join([f"<h1>{html.escape(title)}</h1>", *sections, _alike(audit)])
    text = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )
    with atomic(path) as file:
        file.write(text.encode())


def _findings(report: dict[str, Any]) -> str:
    items = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in report["findings"])
    return f"<h2>Findings</h2><ol>{items}</ol>" if items else "<h2>Findings</h2><p>Nothing seems amiss.</p>"


def _images(audit: Audit, report: dict[str, Any]) -> str:
    splits = report["splits"]
    parts = ["<h2>Images</h2>", _table(("", *splits), ((name, *cells) for name, cells in image_rows(splits)))]
    parts.append(_picture(figures.luminance(audit), "Distributions of images' mean and contrast by split"))
    for split in splits:
        if entries := audit.of(split):
            parts.append(f"<h3>{html.escape(split)}</h3>")
            parts += [_figure(figures.single(one), one.id, "one") for one in figures.spread(entries)]
    return "\n".join(parts)


def _targets(audit: Audit, report: dict[str, Any]) -> str:
    if not report["targets"]:
        return ""
    rows = ((name, *values) for name, values in target_rows(report["targets"]))
    parts = [
        f"<h2>{counted(len(report['targets']), 'target')}</h2>",
        _table(("over targets", *QUANTILES), rows),
    ]
    for picture, words in (
        (figures.summary(audit), "Distributions over targets"),
        (figures.targets(audit), "Histograms of targets"),
    ):
        parts += [] if picture is None else [_picture(picture, words)]
    return "\n".join(parts)


def _classes(audit: Audit, report: dict[str, Any]) -> str:
    picture = figures.classes(audit)
    if picture is None:
        return ""
    title = counted(len(report["classes"]), "class", "classes")
    return f"<h2>{title}</h2>{_picture(picture, 'Samples of each class by split')}"


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


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    lines = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows)
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _figure(png: bytes, words: str, kind: str = "pair") -> str:
    """A picture with its words below. kind: "pair" or "one"."""
    caption = f"<figcaption>{html.escape(words)}</figcaption>"
    return f'<figure class="{kind}">{_picture(png, words)}{caption}</figure>'


def _picture(png: bytes, words: str) -> str:
    data = base64.b64encode(png).decode()
    return f'<img alt="{html.escape(words)}" src="data:image/png;base64,{data}">'
