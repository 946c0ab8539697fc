"""metrics.jsonl and TensorBoard events: one record a step or an epoch, cut back when a run resumes."""

import json
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter


class Journal:
    """Appends records to `metrics.jsonl` and to `events/`.

    Records past `from_step` are cut off first: those steps are made again.
    """

    def __init__(self, folder: Path, from_step: int):
        self.path = folder / "metrics.jsonl"
        _cut(self.path, from_step)
        self._file = self.path.open("a")
        purge = from_step + 1 if from_step else None
        self._events = SummaryWriter(str(folder / "events"), purge_step=purge, flush_secs=30)

    def write(self, step: int, epoch: int, split: str, values: dict[str, float]) -> None:
        """One record. Splits: "step" (each update), "train" and "validation" (each epoch)."""
        self._file.write(json.dumps({"step": step, "epoch": epoch, "split": split, **values}) + "\n")
        for name, value in values.items():
            self._events.add_scalar(f"{split}/{name}", value, step)

    def flush(self) -> None:
        """Everything written is in the file, whatever becomes of the process."""
        self._file.flush()

    def close(self) -> None:
        self._file.close()
        self._events.close()


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


def _cut(path: Path, step: int) -> None:
    kept = [record for record in read(path) if record["step"] <= step]
    partial = path.with_suffix(".partial")
    partial.write_text("".join(json.dumps(record) + "\n" for record in kept))
    partial.replace(path)
