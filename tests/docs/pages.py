"""The examples on the pages: fenced blocks of python and bash, and why one is read only."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted(p for p in (ROOT / "docs").rglob("*.md") if p.parent.name != "components"),
]
_READ_ONLY = re.compile(r"<!-- parsed, not run: (.+) -->")


@dataclass(frozen=True)
class Example:
    """One block: its page, language, text, first line, and the reason where it is not run."""

    page: Path
    language: str
    text: str
    line: int
    read_only: str | None


def examples(page: Path, *languages: str) -> list[Example]:
    """Its blocks of these languages, in order."""
    found, reason = [], None
    for token in MarkdownIt().parse(page.read_text()):
        if token.type == "html_block" and (match := _READ_ONLY.search(token.content)):
            reason = match[1]
        elif token.type == "fence":
            assert token.map is not None
            language = (token.info.split() or [""])[0]
            if language in languages:
                found.append(Example(page, language, token.content, token.map[0] + 2, reason))
            reason = None
    return found


def commands(example: Example) -> list[list[str]]:
    """The words of each command of a bash block, without its comments."""
    lines = example.text.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))
