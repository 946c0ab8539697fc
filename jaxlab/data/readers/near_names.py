"""Names that nearly match: what differs between those asked for and those that are there, in words."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from pathlib import PurePosixPath

from jaxlab.data.source import examples


def composed(name: str) -> str:
    """In Unicode's composed form: a Mac's archive has `ä` as two characters (NFD), a keyboard gives one (NFC)."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _plain(name: str) -> str:
    return name.strip().casefold()


def _without_zeros(name: str) -> str:
    return re.sub(r"\d+", lambda digits: str(int(digits[0])), name)


def _without_folder(name: str) -> str:
    return re.split(r"[/\\]", name)[-1]


def _without_suffix(name: str) -> str:
    return str(PurePosixPath(name).with_suffix("")) if "." in name.strip(".") else name


_ALIKE: tuple[tuple[Callable[[str], str], str], ...] = (
    (composed, "in the Unicode form of their letters alone (NFC and NFD)"),
    (str.strip, "in spaces around them"),
    (str.casefold, "in capital letters"),
    (_without_zeros, "in zeros before numbers, which a spreadsheet takes away"),
    (_without_suffix, "in what follows the point"),
    (lambda name: name.removesuffix(".0"), 'in ".0", which a column of numbers with gaps gets'),
    (_without_folder, "in the folder before them"),
    (
        lambda name: _without_zeros(_without_suffix(_without_folder(_plain(composed(name))))),
        "in several ways",
    ),
)


def difference(absent: Sequence[str], there: Iterable[str]) -> str:
    """How most of the names that are `absent` differ from some that are there, as a sentence; "" where nothing is like.

    The first pair shows it.
    """
    known = list(there)
    for form, words in _ALIKE:
        found = {form(name): name for name in reversed(known)}
        pairs = [(name, found[form(name)]) for name in absent if form(name) in found]
        if pairs and 2 * len(pairs) >= len(absent):
            mine, theirs = pairs[0]
            if form is composed:
                return f"they differ from {examples(map(repr, [theirs]))} and the like {words}"
            return f"they differ {words}: {mine!r} where there is {theirs!r}"
    return ""
