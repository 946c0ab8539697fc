"""What a report is made of: titles, HTML and pictures."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from jaxlab.report import frame
from jaxlab.report.drawing import Picture

Part = str | Picture


@dataclass(frozen=True, eq=False)
class Section:
    """A title, and below it HTML and pictures; those that follow one another stand side by side where there is room.

    A notebook shows it as the page does.
    """

    title: str
    parts: tuple[Part, ...]
    level: int = 2

    @property
    def pictures(self) -> Iterator[Picture]:
        return (part for part in self.parts if isinstance(part, Picture))

    def html(self) -> str:
        shown = [f"<h{self.level}>{frame.text(self.title)}</h{self.level}>"]
        for drawn, parts in groupby(self.parts, lambda part: isinstance(part, Picture)):
            inner = "\n".join(part.html() if isinstance(part, Picture) else part for part in parts)
            shown.append(f'<div class="pictures">{inner}</div>' if drawn else inner)
        return "\n".join(shown)

    def _repr_html_(self) -> str:
        return frame.within_notebook(self.html())

    def below(self, prefix: str) -> "Section":
        """The same one level deeper, its pictures' files with a prefix, as part of something larger."""
        parts = tuple(
            replace(part, name=f"{prefix}-{part.name}") if isinstance(part, Picture) else part
            for part in self.parts
        )
        return replace(self, parts=parts, level=self.level + 1)


def begun(words: str) -> str:
    """As a sentence begins."""
    return words[:1].upper() + words[1:]


def paragraph(words: str) -> str:
    return f"<p>{frame.text(words)}</p>"


def missing(sentences: Iterable[str]) -> tuple[str, ...]:
    """What cannot be shown, and why."""
    return tuple(f'<p class="missing">{frame.text(sentence)}</p>' for sentence in sentences)
