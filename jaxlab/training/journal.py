"""metrics.jsonl and TensorBoard events: one record a step or an epoch, cut back when a run resumes."""

import json
import math
import warnings
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxlab.core.files import reason, writing
from jaxlab.core.types import FileWarning, UserError
from jaxlab.training import elsewhere, notices
from jaxlab.training.events import EventFile

_PLACES = ("step", "epoch", "split")
_SUM = "crc32"  # of a record's line without it, its last field
_STAYS = "the checkpoints from before stay, and the same command goes on from the last"


class Journal:
    """Appends records to `metrics.jsonl` and to `events/`.

    Records past `from_step`, and what others found of later checkpoints, are cut off first: those steps are made again.
    Every method raises UserError where the disk takes no more.
    """

    def __init__(self, folder: Path, from_step: int):
        self.path = folder / "metrics.jsonl"
        with writing(self.path, _STAYS):
            _cut(self.path, from_step)
            notices.forget(folder, from_step)
            elsewhere.forget(folder, from_step)
            self._file = self.path.open(
                "a", buffering=1, encoding="utf-8"
            )  # whole lines, for whoever reads or adds meanwhile
        with writing(folder / "events", _STAYS):
            self._events = EventFile(folder / "events", from_step)

    def write(self, step: int, epoch: int, split: str, values: dict[str, float]) -> None:
        """One record. Splits: "step" (each update), "train" and "validation" (each epoch)."""
        with writing(self.path, _STAYS):
            self._file.write(_line({"step": step, "epoch": epoch, "split": split, **values}))
            for name, value in values.items():
                self._events.scalar(f"{split}/{name}", value, step)

    def notice(self, notice: notices.Notice) -> None:
        """What was amiss, in notices.jsonl; from any thread."""
        file = self.path.with_name(notices.FILE)
        with writing(file, _STAYS), file.open("a", encoding="utf-8") as lines:
            lines.write(notices.line(notice))

    def flush(self) -> None:
        """Everything written is in the file, whatever becomes of the process."""
        with writing(self.path, _STAYS):
            self._file.flush()
            self._events.flush()

    def close(self) -> None:
        with writing(self.path, _STAYS):
            self._file.close()
            self._events.close()


def read(path: Path, split: str | None = None) -> list[dict[str, Any]]:
    """The records of a metrics.jsonl, of one split or all, and then the validations that others have left beside it.

    A last line cut short by a kill is left out; a warning names any other line that is no record. Of a step that stands
    there twice, as after its lock was removed and two processes trained at once, the later counts. Of lines without
    the split's name none is read: in a long training those of validations are few.
    """
    found = [] if split not in (None, "validation") else _elsewhere(path)
    try:
        lines = _lines(path, b"" if split is None else split.encode())
    except (FileNotFoundError, NotADirectoryError):
        return found
    except OSError as error:
        raise UserError(f"{path} cannot be read ({reason(error)})") from error
    by_place: dict[tuple[str, int], dict[str, Any]] = {}
    for number, record in lines:
        if record is None:  # said once, whoever reads it again
            line = f"{path}:{number} is no record of a step or an epoch; it is left out"
            warnings.warn(line, FileWarning, stacklevel=1)
        elif split in (None, record["split"]):
            by_place[record["split"], record["step"]] = record
    records = list(by_place.values())
    own = {record["step"] for record in records if record["split"] == "validation"} if found else set()
    return records + [record for record in found if record["step"] not in own]


def _elsewhere(path: Path) -> list[dict[str, Any]]:
    """Records of validations by other processes than the one that trains."""
    found = elsewhere.kept(path.parent)
    return [
        {"step": step, "epoch": found[step].epoch, "split": "validation", **found[step].scores}
        for step in sorted(found)
    ]


def validations(path: Path) -> dict[int, dict[str, float | None]]:
    """{step: validation scores} of a metrics.jsonl; None for one that was not finite."""
    return scores_at(path, "validation")


def scores_at(path: Path, split: str) -> dict[int, dict[str, float | None]]:
    """The same of any split."""
    kept = {record["step"]: record for record in read(path, split)}
    return {
        step: {name: value for name, value in record.items() if name not in _PLACES}
        for step, record in kept.items()
    }


def append(path: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Records ("step", "epoch", "split" and values) at the end of a metrics.jsonl, in place of a line cut short."""
    with writing(path), path.open("ab") as file:
        rest = path.read_bytes().rpartition(b"\n")[2]
        if rest and _record(rest) is None:
            file.truncate(file.tell() - len(rest))
        elif rest:
            file.write(b"\n")
        file.write("".join(map(_line, records)).encode())


def _cut(path: Path, step: int) -> None:
    """Leaves out records past `step` and a last line cut short; all other lines stay as they are, byte by byte."""
    if not path.exists():
        return
    kept = [
        line for line in _whole_lines(path) if (record := _record(line)) is None or record["step"] <= step
    ]
    whole = b"".join(line + b"\n" for line in kept)
    if whole != path.read_bytes():
        partial = path.with_suffix(".partial")
        partial.write_bytes(whole)
        partial.replace(path)


def _lines(path: Path, mentioning: bytes) -> list[tuple[int, dict[str, Any] | None]]:
    """The number and the record of each line with these bytes, None where it is none."""
    lines = _whole_lines(path)
    return [(number, _record(line)) for number, line in enumerate(lines, 1) if mentioning in line]


def _whole_lines(path: Path) -> list[bytes]:
    """A last line without its end counts if it is a record."""
    *lines, rest = path.read_bytes().split(b"\n")
    return lines if _record(rest) is None else [*lines, rest]


def _record(line: bytes) -> dict[str, Any] | None:
    """What the line says, if it is one of ours: a split, whole numbers of step and epoch, and else numbers or null.

    Of a line with a sum, as each has that this version writes, that must be right: a digit may have rotted.
    """
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if (
        not isinstance(record, dict)
        or not _is_sound(line, record)
        or not isinstance(record.get("split"), str)
    ):
        return None
    places = all(type(record.get(name)) is int and 0 <= record[name] < 1 << 63 for name in ("step", "epoch"))
    values = (value for name, value in record.items() if name not in _PLACES)
    return record if places and all(value is None or _is_number(value) for value in values) else None


def _is_number(value: Any) -> bool:
    """That a float can hold, as a figure needs it."""
    return type(value) is float or (type(value) is int and abs(value) < 10**300)


def _line(record: Mapping[str, Any]) -> str:
    """A value that is not finite becomes null: JSON has no NaN."""
    finite = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in record.items()
    }
    line = json.dumps(finite)
    return f'{line[:-1]}, "{_SUM}": {zlib.crc32(line.encode())}}}\n'


def _is_sound(line: bytes, record: dict[str, Any]) -> bool:
    """Whether the sum at the line's end, which `record` loses, is that of what stands before it; of none, true.

    A last field that is the sum under another name has rotted there.
    """
    told, summed = record.pop(_SUM, None), zlib.crc32(line.rpartition(b', "')[0] + b"}")
    if told is not None:
        return bool(told == summed)
    return not record or next(reversed(record.values())) != summed
