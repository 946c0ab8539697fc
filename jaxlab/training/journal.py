"""metrics.jsonl and TensorBoard events: one record a step or an epoch, cut back when a run resumes."""

import contextlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxlab.core.types import UserError
from jaxlab.training.events import EventFile


class Journal:
    """Appends records to `metrics.jsonl` and to `events/`.

    Records past `from_step` are cut off first: those steps are made again. Every method raises UserError where
    the disk takes no more.
    """

    def __init__(self, folder: Path, from_step: int):
        self.path = folder / "metrics.jsonl"
        with _writing(self.path):
            _cut(self.path, from_step)
            self._file = self.path.open("a")
        with _writing(folder / "events"):
            self._events = EventFile(folder / "events", from_step)

    def write(self, step: int, epoch: int, split: str, values: dict[str, float]) -> None:
        """One record. Splits: "step" (each update), "train" and "validation" (each epoch)."""
        with _writing(self.path):
            finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
            self._file.write(json.dumps({"step": step, "epoch": epoch, "split": split, **finite}) + "\n")
            for name, value in values.items():
                self._events.scalar(f"{split}/{name}", value, step)

    def flush(self) -> None:
        """Everything written is in the file, whatever becomes of the process."""
        with _writing(self.path):
            self._file.flush()
            self._events.flush()

    def close(self) -> None:
        with _writing(self.path):
            self._file.close()
            self._events.close()


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path} could not be written ({error.strerror}); the checkpoints from before stay, and the same command "
            "goes on from the last"
        ) from error


def read(path: Path, split: str | None = None) -> list[dict[str, Any]]:
    """The records of a metrics.jsonl, of one split or all; a last line cut short by a kill is left out."""
    if not path.exists():
        return []
    records = []
    for line in path.read_text().splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            continue
    return [record for record in records if split in (None, record["split"])]


def validations(path: Path) -> dict[int, dict[str, float | None]]:
    """{step: validation scores} of a metrics.jsonl; None for one that was not finite."""
    kept = {record["step"]: record for record in read(path, "validation")}
    return {
        step: {name: value for name, value in record.items() if name not in ("step", "epoch", "split")}
        for step, record in kept.items()
    }


def _cut(path: Path, step: int) -> None:
    kept = [record for record in read(path) if record["step"] <= step]
    partial = path.with_suffix(".partial")
    partial.write_text("".join(json.dumps(record) + "\n" for record in kept))
    partial.replace(path)
