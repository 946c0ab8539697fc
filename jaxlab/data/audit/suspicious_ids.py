"""Ids that look like something else: dates and times, or what a spreadsheet makes of an id."""

import re
from collections.abc import Iterable

_DAY = r"(19|20)\d\d[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])"
_CLOCK = r"([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d)?"
_TIME = re.compile(rf"(?<!\d){_DAY}(?!\d)|(?<!\d){_CLOCK}(?!\d)|(?<!\d)1\d{{9}}(\d{{3}})?(\.\d+)?$")
_MONTH = "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_SPREADSHEET = re.compile(rf"\d{{1,2}}-{_MONTH}|{_MONTH}-\d\d|\d(\.\d+)?E\+\d+|#(NAME|REF|VALUE|N/A).*")


def times(ids: Iterable[str]) -> list[str]:
    """The ids with a date, a time of day or a Unix timestamp in them."""
    return [name for name in ids if _TIME.search(name)]


def spreadsheet(ids: Iterable[str]) -> list[str]:
    """The ids that a spreadsheet seems to have rewritten: `1-Mar`, `1.2E+05`."""
    return [name for name in ids if _SPREADSHEET.fullmatch(name)]
