"""Faults of class names: cells that whoever scores the submission does not read as a class of the sample's."""

import unicodedata
from collections.abc import Callable, Mapping

import numpy as np

from submit.files.csv_table import Table
from submit.formats.kaggle.sample import Sample

# What pandas, with which Kaggle's metrics read a submission, takes for a missing value.
MISSING = frozenset(
    ["#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
     "NULL", "NaN", "None", "n/a", "nan", "null"]
)  # fmt: skip
_UNSEEN = ("Cc", "Cf", "Zl", "Zp")  # Unicode's categories of characters without a picture


def class_name_faults(table: Table, sample: Sample, shown: int) -> list[str]:
    """Sentences on the cells of the only column, of which each names `shown`.

    Numbers where the sample has none (whole ones beside names may be names), words that pandas reads as missing, spaces
    around a name or unseen characters in it, and the sample's names in other characters that look the same. What the
    sample itself holds is no fault.
    """
    found = []
    numeric = _misplaced_numbers(table)
    if len(numeric) and sample.holds == "names" and not sample.numbers and table.ragged is None:
        found.append(
            f"{len(numeric):,} cells are numbers, and the sample holds class names such as "
            f"{min(sample.names)!r}: {table.located(numeric, shown)}"
        )
    alike = {_plain(name): name for name in sorted(sample.names)}
    new = {word: where for word, where in table.words.items() if word.strip() and word not in sample.names}
    kinds: dict[str, Callable[[str], bool]] = {
        "are words that pandas, and so Kaggle, reads as missing": MISSING.__contains__,
        "are names with spaces around them or characters that are not seen": _is_padded,
        "are names of the sample, written in other characters": lambda word: _plain(word) in alike,
    }
    for what, is_so in kinds.items():
        words = {word: new.pop(word) for word in list(new) if is_so(word)}
        if words:
            found.append(_sentence(table, what, words, shown))
    return found


def _misplaced_numbers(table: Table) -> np.ndarray:
    """Positions of the cells that are numbers, if no cell is a name, or otherwise of fractions."""
    number = np.ones(len(table.ids), bool)
    number[np.concatenate([table.cells.bad, table.cells.nan])] = False
    if table.words:
        values = table.values[:, 0]
        number &= np.isfinite(values) & (np.rint(values) != values)
    return np.flatnonzero(number)


def _sentence(table: Table, what: str, words: Mapping[str, tuple[int, int]], shown: int) -> str:
    count = sum(number for number, _ in words.values())
    some = [
        f"row {str(table.ids[first])!r}, column {str(table.columns[0])!r} ({word!r})"
        for word, (_, first) in list(words.items())[:shown]
    ]
    more = f"; and {count - len(some):,} more" if count > len(some) else ""
    return f"{count:,} cells {what}: {'; '.join(some)}{more}"


def _is_padded(word: str) -> bool:
    return word != word.strip() or any(unicodedata.category(character) in _UNSEEN for character in word)


def _plain(word: str) -> str:
    """Composed, with one space for each run of spaces of any kind."""
    return " ".join(unicodedata.normalize("NFC", word).split())
