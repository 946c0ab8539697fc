"""Docstrings as blocks: paragraphs, what is said of a field or an argument, and lines of code.

The house writes `name: what it is` at the start of a line or sentence, goes on indented by four, puts code into an
indented block after a colon, and begins the items of a list with a dash.
"""

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

INDENT = "    "


@dataclass(frozen=True)
class Paragraph:
    text: str


@dataclass(frozen=True)
class Said:
    """What is said of one field or argument, or of several at once."""

    names: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Code:
    text: str


Block = Paragraph | Said | Code


def blocks(doc: str, names: Iterable[str]) -> list[Block]:
    """The blocks of a cleaned docstring; `names` are those that a line may be about."""
    known = "|".join(sorted(map(re.escape, names), key=len, reverse=True)) or "(?!)"
    about = re.compile(rf"((?:{known})(?:(?:, | and | or )(?:{known}))*): ")
    found: list[Block] = []
    for lines in _units(doc.splitlines(), about):
        if lines[0].startswith(INDENT):
            found.append(Code(inspect.cleandoc("\n".join(lines))))
        else:
            found += _sentences(" ".join(line.strip() for line in lines), about)
    return found


def _units(lines: list[str], about: re.Pattern[str]) -> list[list[str]]:
    """Lines that belong together: what is said of a name with its indented lines, a paragraph, or a block of code."""
    units: list[list[str]] = []
    fresh = True  # after an empty line
    for line in lines:
        if line.strip():
            if not units or _begins(line, units[-1], fresh, about):
                units.append([line])
            else:
                units[-1].append(line)
        fresh = not line.strip()
    return units


def _begins(line: str, before: list[str], fresh: bool, about: re.Pattern[str]) -> bool:
    """Whether `line` begins a unit, after the lines `before`."""
    in_code, indented = before[0].startswith(INDENT), line.startswith(INDENT)
    if indented:
        return not in_code and (fresh or before[-1].endswith(":"))
    if line.startswith("- "):
        return True
    return fresh or in_code or before[-1].startswith(INDENT) or about.match(line) is not None


def _sentences(text: str, about: re.Pattern[str]) -> list[Block]:
    """`a: this. b: that.` as two."""
    cuts = [
        m.start() for m in about.finditer(text) if m.start() == 0 or text[m.start() - 2 : m.start()] == ". "
    ]
    pieces = [text[a:b].strip() for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    found: list[Block] = []
    for piece in filter(None, pieces):
        match = about.match(piece)
        if match is None:
            found.append(Paragraph(piece))
        else:
            found.append(Said(tuple(re.split(", | and | or ", match[1])), piece[match.end() :]))
    return found


def names_of(thing: Any) -> tuple[str, ...]:
    """What a docstring may say something about: a class's fields or attributes, a function's arguments."""
    if fields := tuple(getattr(thing, "__dataclass_fields__", ())):
        return fields
    try:
        arguments = tuple(inspect.signature(thing).parameters)
    except (TypeError, ValueError):
        arguments = ()
    return (*arguments, *_attributes(thing)) if isinstance(thing, type) else arguments


def _attributes(cls: type[Any]) -> tuple[str, ...]:
    """Those that its body declares, and those that its __init__ sets."""
    made = getattr(vars(cls).get("__init__"), "__code__", None)
    return (*inspect.get_annotations(cls), *(made.co_names if made else ()))


def as_rst(doc: str, names: Iterable[str]) -> list[str]:
    """The lines of a docstring in reStructuredText, which autodoc takes."""
    lines: list[str] = []
    for block in blocks(doc, names):
        if isinstance(block, Paragraph):
            lines += [_plain(block.text), ""]
        elif isinstance(block, Said):
            named = ", ".join(f"``{name}``" for name in block.names)
            lines += [f"- {named}: {_plain(block.text)}", ""]
        else:
            lines += [".. code-block:: python", "", *(INDENT + line for line in block.text.splitlines()), ""]
    return lines


def _plain(text: str) -> str:
    """`code` stays; what reStructuredText would take for markup does not."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return re.sub(r"([\\*|`]|_\b)", r"\\\1", text)
    plain = [re.sub(r"([\\*|]|_\b)", r"\\\1", part) for part in parts[::2]]
    after = [("\\ " if part[:1].isalnum() else "") + part for part in plain[1:]]
    return plain[0] + "".join(f"``{code}``{part}" for code, part in zip(parts[1::2], after, strict=True))
