"""The frame of pages: one HTML file that loads nothing from elsewhere, in which nothing runs but our own script.

Text is escaped here and nowhere else. Each page forbids by its Content-Security-Policy whatever it does not bring,
so that a name that somebody chose in a run of theirs stays text.
"""

import base64
import hashlib
import html
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jaxlab.core.visible import visible
from submit.files.atomic import atomic

_HERE = Path(__file__).parent


def page(title: str, body: str) -> str:
    """The whole page around its `body`, which is HTML."""
    style, script = ((_HERE / name).read_text("utf-8") for name in ("page.css", "page.js"))
    known = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{known}'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title>\n<style>{style}</style></head>\n<body>\n{body}\n"
        f"<script>{script}</script></body></html>\n"
    )


def write(path: Path, title: str, body: str) -> None:
    """The page as a file, whole or not at all. Raises SubmissionError where the disk refuses."""
    with atomic(path) as file:
        file.write(page(title, body).encode())


def text(value: Any) -> str:
    """As text of the page, whoever wrote it."""
    return html.escape(visible(str(value).encode("utf-8", "replace").decode()))


def table(header: Iterable[Any], rows: Iterable[Iterable[Any]], kind: str = "") -> str:
    """kind: "" of numbers, "words" of text, "facts" of names and what they are, without a header."""
    head = "".join(f"<th>{text(name)}</th>" for name in header)
    lines = ("".join(f"<td>{text(cell)}</td>" for cell in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    top = f"<tr>{head}</tr>" if head else ""
    return f'<div class="wide"><table class="{kind}">{top}{body}</table></div>'


def figure(inner: str, words: str, kind: str) -> str:
    """A picture, which is HTML, with its words below."""
    return f'<figure class="{kind}">{inner}<figcaption>{text(words)}</figcaption></figure>'


def image(data: bytes, words: str, form: str = "png") -> str:
    """A picture of pixels. form: "png" or "jpeg"."""
    return f'<img alt="{text(words)}" src="data:image/{form};base64,{base64.b64encode(data).decode()}">'


def within_notebook(body: str) -> str:
    """Part of a page for a notebook: with the style of pages, kept to itself."""
    style = (_HERE / "page.css").read_text("utf-8")
    return f"<div><style>@scope {{ {style} }}</style>{body}</div>"
