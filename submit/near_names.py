"""Names that nearly match: what differs between those asked for and those that are there, in words."""

import difflib
import posixpath
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

_LOOKED_AT = 100_000  # names; of more the first
_DIGITS = re.compile(r"\d+")
_FEW = 20  # names that are compared letter by letter


def composed(name: str) -> str:
    """In Unicode's composed form: a Mac's archive has `ä` as two characters (NFD), a keyboard gives one (NFC)."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _plain(name: str) -> str:
    return name.strip().casefold()


def _without_zeros(name: str) -> str:
    return re.sub(r"\d+", lambda digits: digits[0].lstrip("0") or "0", name)


def _without_folder(name: str) -> str:
    return re.split(r"[/\\]", name)[-1]


def _without_suffix(name: str) -> str:
    return posixpath.splitext(name)[0]


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
    known, absent = list(islice(there, _LOOKED_AT)), absent[:_LOOKED_AT]
    for form, words in _ALIKE:
        found = {form(name): name for name in reversed(known)}
        pairs = [(name, found[form(name)]) for name in absent if form(name) in found]
        if pairs and 2 * len(pairs) >= len(absent):
            mine, theirs = pairs[0]
            if form is composed:
                return f"they differ from {theirs!r} and the like {words}"
            return f"they differ {words}: {mine!r} where there is {theirs!r}"
    return ""


def mistyped(absent: Sequence[str], there: Sequence[str]) -> str:
    """Which of a few names that are `absent` may be which of a few that are there, as a sentence; "" where none may.

    Names that differ in digits alone are two samples rather than one that is mistyped.
    """
    if max(len(absent), len(there)) > _FEW:
        return ""
    pairs = []
    for name in absent:
        letters = _DIGITS.sub("", name)
        others = [other for other in there if _DIGITS.sub("", other) != letters]
        pairs += [(name, near) for near in difflib.get_close_matches(name, others, n=1, cutoff=0.8)]
    return "is this a slip? " + ", ".join(f"{near!r} for {name!r}" for name, near in pairs) if pairs else ""
