"""The recipes of CONTRIBUTING.md: blocks that say which file they go to, and how they are applied."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt
from pages import ROOT

PAGE = ROOT / "CONTRIBUTING.md"
_PLACE = re.compile(r"# ([\w/.]+)(?:, (new|at its end|at its beginning|after the classes))?$")
_ROW = re.compile(r"^\| \[[\w ]+\]\(#([\w-]+)\).* \| (\d+) \| (\d+) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """text: without the line that says where it goes. place: "" of a change of lines."""

    path: str
    place: str
    text: str


@dataclass
class Recipe:
    """One heading of the page."""

    title: str
    blocks: list[Block] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        """As links on the page have it."""
        return re.sub(r"[^\w-]", "", self.title.lower().replace(" ", "-"))

    @property
    def files(self) -> set[str]:
        return {block.path for block in self.blocks}

    @property
    def new(self) -> set[str]:
        return {block.path for block in self.blocks if block.place == "new"}


def recipes() -> list[Recipe]:
    """Every heading that has blocks, in the page's order. Raises AssertionError for code without a place."""
    found: list[Recipe] = []
    tokens = MarkdownIt().parse(PAGE.read_text())
    for token, following in zip(tokens, [*tokens[1:], tokens[-1]], strict=True):
        if token.type == "heading_open":
            found.append(Recipe(following.content))
        elif token.type == "fence" and token.info in ("python", "diff"):
            first, _, text = token.content.partition("\n")
            match = _PLACE.match(first)
            assert match is not None, f"{PAGE.name}: {first!r} names no file"
            assert bool(match[2]) == (token.info == "python"), f"{PAGE.name}: {first!r} does not say where"
            found[-1].blocks.append(Block(match[1], match[2] or "", text))
    return [recipe for recipe in found if recipe.blocks]


def stated() -> dict[str, tuple[int, int]]:
    """{anchor: (files, new ones)}, as the page's table has it."""
    return {anchor: (int(files), int(new)) for anchor, files, new in _ROW.findall(PAGE.read_text())}


def apply(block: Block, package: Path) -> None:
    """To a copy of the package. Raises AssertionError where it does not fit."""
    path = package / block.path
    if block.place == "new":
        assert not path.exists(), f"{block.path} is not new"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)
        return
    text = path.read_text()
    if block.place:
        path.write_text(f"{text}\n\n{block.text}")
        return
    for old, new in _hunks(block.text):
        assert text.count(old) == 1, f"{block.path} has these lines {text.count(old)} times, not once:\n{old}"
        text = text.replace(old, new)
    path.write_text(text)


def _hunks(text: str) -> Iterator[tuple[str, str]]:
    """(lines before, lines after) of each part of a change, which empty lines divide."""
    for part in text.strip("\n").split("\n\n"):
        lines = part.splitlines()
        assert all(line[0] in " +-" for line in lines), part
        before, after = ("".join(f"{line[1:]}\n" for line in lines if line[0] != sign) for sign in ("+", "-"))
        yield f"\n{before}", f"\n{after}"
