"""The error of this package, and how its messages name a few things out of many."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path


class SubmissionError(ValueError):
    """A file, a table or an argument that cannot be used; the message says which, and what was expected."""


def named(items: Iterable[object], count: int, shown: int = 5) -> str:
    """The first few of `count` items, quoted: "'a', 'b' and 7 more"."""
    some = list(islice(items, shown))
    text = ", ".join(repr(shortened(str(item))) for item in some)
    return text if count <= len(some) else f"{text} and {count - len(some):,} more"


def either(items: Iterable[str]) -> str:
    """Each of the items once: "a, b or c"."""
    *others, last = dict.fromkeys(items)
    return f"{', '.join(others)} or {last}" if others else last


def shortened(text: str, longest: int = 200) -> str:
    """The text, or its beginning where a whole paragraph stands in the place of a name or a number."""
    return text if len(text) <= longest else f"{text[:longest]}…"


@contextmanager
def about(path: str | Path) -> Iterator[None]:
    """Puts the file's name before the message of a SubmissionError raised in the block, unless it is there."""
    try:
        yield
    except SubmissionError as error:
        if str(error).startswith(f"{path}: "):
            raise
        raise SubmissionError(f"{path}: {error}") from error


def refuse(path: str | Path, faults: Sequence[str]) -> None:
    """Raises SubmissionError with all faults of what was to be written to `path`, if there are any."""
    if faults:
        raise SubmissionError(f"{path} was not written:\n" + "\n".join(f"- {fault}" for fault in faults))
