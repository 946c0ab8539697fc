"""What was amiss while a run trained: said in the terminal, and kept beside its records in notices.jsonl."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jaxlab.core.files import reason
from jaxlab.core.types import UserError

FILE = "notices.jsonl"
_EACH = 100  # of a kind, that one process keeps: a disk that stalls all day is no news any more
_TYPES = {"step": int, "epoch": int, "kind": str, "text": str}


@dataclass(frozen=True)
class Notice:
    """One finding. kind: stall, suspended, starved, slower, gradient, collapsed or units. text: with what mends it.

    value: how much of it there was, in what the text says. about: the objective or layer, where there are several.
    """

    step: int
    epoch: int
    kind: str
    value: float
    text: str
    about: str = ""


class Notices:
    """Says each kind of notice once, and again where it has been over; keeps them all, as far as `_EACH` goes.

    say: one line in the terminal. keep: where they are written; default nowhere.
    """

    def __init__(
        self, say: Callable[[str], None] = lambda line: None, keep: Callable[[Notice], None] | None = None
    ):
        self._say, self._keep = say, keep
        self._said: set[tuple[str, str]] = set()
        self._kept: Counter[tuple[str, str]] = Counter()

    def tell(self, notice: Notice) -> None:
        which = (notice.kind, notice.about)
        if which not in self._said:
            self._said.add(which)
            self._say(f"warning: {notice.text}")
        if self._keep is not None and self._kept[which] < _EACH:
            self._kept[which] += 1
            self._keep(notice)

    def over(self, kind: str, about: str = "") -> None:
        """It is as it should be: where it comes again, that is said again."""
        self._said.discard((kind, about))


def line(notice: Notice) -> str:
    """As the file has it."""
    return json.dumps(asdict(notice)) + "\n"


def read(folder: Path) -> list[Notice]:
    """Those of a run directory, in their order; none where it has no such file. Lines that are no notice are left out.

    Raises UserError where the file cannot be read.
    """
    try:
        lines = (folder / FILE).read_bytes().split(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UserError(f"{folder / FILE} cannot be read ({reason(error)})") from error
    return [notice for text in lines if (notice := _notice(text)) is not None]


def forget(folder: Path, step: int) -> None:
    """Leave out those after `step`, which is trained again; a file of them alone goes. Raises OSError."""
    try:
        before = (folder / FILE).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return
    kept = "".join(line(one) for text in before.split(b"\n") if (one := _notice(text)) and one.step <= step)
    if not kept:
        (folder / FILE).unlink()
    elif kept.encode() != before:
        partial = folder / f"{FILE}.partial"
        partial.write_text(kept, encoding="utf-8")
        partial.replace(folder / FILE)


def _notice(text: bytes) -> Notice | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not all(type(found.get(name)) is kind for name, kind in _TYPES.items()):
        return None
    value, about = found.get("value"), found.get("about", "")
    if not isinstance(value, int | float) or not isinstance(about, str):
        return None
    return Notice(**{name: found[name] for name in _TYPES}, value=float(value), about=about)


def in_short(found: list[Notice]) -> list[Mapping[str, Any]]:
    """The last of each kind, and how many there were: what is shown of a run."""
    counts = Counter((one.kind, one.about) for one in found)
    last = {(one.kind, one.about): one for one in found}
    return [{**asdict(one), "times": counts[which]} for which, one in last.items()]
