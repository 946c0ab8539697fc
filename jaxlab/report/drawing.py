"""Pictures of a page: drawn small, one panel each, so that a telephone shows them one below another and a wide screen
side by side. As SVG for the page, where some points say what they are, and as PNG for files.
"""

import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jaxlab.core.visible import visible
from jaxlab.report import frame
from submit import figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BEFORE, AFTER, FAINT = "#e08214", "#2166ac", "#dddddd"
_WIDTH, _HEIGHT = 4.6, 3.0  # inches
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8,
}


@dataclass(frozen=True, eq=False)
class Picture:
    """name: of its file, without a suffix. words: below it. hover: {id of an artist: a title for each of its points}.

    An artist's id is its `gid`. Many points belong into a rasterized artist, which has no titles.
    """

    name: str
    words: str
    figure: "Figure"
    hover: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def png(self) -> bytes:
        """As pixels."""
        return _saved(self.figure, "png", self.name)

    def html(self) -> str:
        """As SVG, with its words below."""
        svg = _saved(self.figure, "svg", self.name).decode()
        svg = _titled(_bare(svg), self.hover)
        label = f'<svg role="img" aria-label="{frame.text(self.words)}" '
        return frame.figure(svg.replace("<svg ", label, 1), self.words, "")


@contextmanager
def canvas(
    xlabel: str = "", ylabel: str = "", size: tuple[float, float] = (_WIDTH, _HEIGHT)
) -> Iterator[tuple["Figure", Any]]:
    """A figure with one panel, to draw in within the block."""
    from matplotlib import rc_context  # half a second, and only pictures need it
    from matplotlib.figure import Figure

    with rc_context(_SETTINGS):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        yield figure, axes
        axes.set(xlabel=xlabel, ylabel=ylabel)


def label(name: Any) -> str:
    """A name that somebody chose, as a figure may have it: short, without formulas and control characters."""
    return figures.plain(visible(str(name)))


def whole(axes: Any) -> None:
    """Marks at whole numbers alone, up the side, where counts are."""
    axes.yaxis.get_major_locator().set_params(integer=True)


def _saved(figure: "Figure", form: str, name: str) -> bytes:
    from matplotlib import rc_context

    buffer = io.BytesIO()
    nameless: dict[str, Any] = dict.fromkeys(("Creator", "Date", "Format", "Type")) if form == "svg" else {}
    own = {**_SETTINGS, "svg.hashsalt": name}  # the same file each time, and ids of its own
    with rc_context(own), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a browser has more fonts
        figure.savefig(buffer, format=form, dpi=140, metadata=nameless)
    return buffer.getvalue()


def _bare(svg: str) -> str:
    """Without what only a file of its own needs: a prologue, metadata, names of namespaces; a size that may change."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*(?:<metadata>.*?</metadata>|<style.*?</style>)", "", svg, flags=re.DOTALL)
    svg = re.sub(r' (?:xmlns(?::\w+)?|version)="[^"]*"', "", svg)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    return svg.replace("'DejaVu Sans'", "system-ui, sans-serif").strip()


def _titled(svg: str, hover: Mapping[str, Sequence[str]]) -> str:
    """The same, with titles on the points of artists, in the order in which they were drawn."""
    for name, titles in hover.items():
        start = svg.find(f'<g id="{name}"')
        if start < 0:
            continue
        end = _end(svg, start)
        points = re.findall(r"<use [^>]*/>", svg[start:end])
        if len(points) == len(titles):  # else some lie outside, and none can be told from another
            named = (
                f"{point[:-2]}><title>{frame.text(title)}</title></use>"
                for point, title in zip(points, titles, strict=True)
            )
            svg = svg[:start] + re.sub(r"<use [^>]*/>", _each(named), svg[start:end]) + svg[end:]
    return svg


def _each(named: Iterator[str]) -> Callable[[re.Match[str]], str]:
    return lambda _: next(named)


def _end(svg: str, start: int) -> int:
    """Where the group that begins at `start` ends."""
    depth = 0
    for tag in re.finditer(r"<g[\s>]|</g>", svg[start:]):
        depth += 1 if tag[0] != "</g>" else -1
        if not depth:
            return start + tag.end()
    return len(svg)
