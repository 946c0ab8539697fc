"""Validation by another process than the one that trains: what it leaves, and which checkpoint is then the best.

RUN/validations/STEP.json has the scores of checkpoint STEP, and the digest of the parameters that they are of. Each is
a file of its own, made whole and never changed, so that trainers and watchers on several machines need no lock, which
many network disks lack: lines that two machines add to one metrics.jsonl over a network would overwrite one another.
`journal.read` has them among the records of metrics.jsonl.
"""

import contextlib
import math
import os
import platform
import uuid
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, Field

from jaxlab.core.files import read_json, write_json, writing
from jaxlab.core.types import FileWarning, UserError

AWAITS = (
    "awaits"  # the field of a checkpoint's meta.json that names the score by which others choose the best
)
_COUNT = Annotated[int, Field(ge=0, lt=1 << 63)]


class Validation(BaseModel):
    """One file. scores: None for one that was not finite."""

    step: _COUNT
    epoch: _COUNT
    digest: str
    scores: dict[str, float | None]


class Checkpoint(Protocol):
    """What is asked of a checkpoint here."""

    @property
    def step(self) -> int: ...
    def meta(self) -> dict[str, Any]: ...


def folder_of(run: Path) -> Path:
    return run / "validations"


def keep(run: Path, meta: Mapping[str, Any], scores: Mapping[str, float]) -> bool:
    """Write the scores of the checkpoint of this meta.json; False where somebody has, whose scores stay.

    Raises UserError where the disk refuses.
    """
    folder = folder_of(run)
    file, mine = folder / f"{meta['step']}.json", folder / f"{uuid.uuid4().hex}.partial"
    by = {
        "pid": os.getpid(),
        "host": platform.node(),
        "at": datetime.now(UTC).isoformat(" ", "seconds"),
    }
    record = {
        "schema": 1,
        **{name: meta[name] for name in ("step", "epoch", "digest")},
        "scores": finite(scores),
        "by": by,
    }
    with writing(file):
        folder.mkdir(exist_ok=True)
        write_json(mine, record)
        try:
            return _named(mine, file, meta["digest"])
        finally:
            with contextlib.suppress(OSError):
                mine.unlink(missing_ok=True)


def finite(scores: Mapping[str, float]) -> dict[str, float | None]:
    """None for what is not: JSON has no NaN."""
    return {name: float(value) if math.isfinite(value) else None for name, value in scores.items()}


def _named(mine: Path, file: Path, digest: str) -> bool:
    """Give the file its name, unless another has it that is of the same parameters: the first one stays."""
    before = _read(file) if file.exists() else None
    if before is not None and before.digest == digest:
        return False
    if before is None and not file.exists():
        try:
            os.link(mine, file)
            return True
        except FileExistsError:
            return _named(mine, file, digest)
        except OSError:
            pass  # a disk without links: the last one stays, and says the same
    mine.replace(file)
    return True


def kept(run: Path) -> dict[int, Validation]:
    """{step: what others have found}. A warning names a file that is none of these."""
    try:
        files = [file for file in folder_of(run).iterdir() if file.suffix == ".json"]
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise UserError(f"{folder_of(run)} cannot be read ({error.strerror})") from error
    found = {file.stem: _read(file) for file in files}
    return {one.step: one for name, one in sorted(found.items()) if one is not None and name == str(one.step)}


def kept_at(run: Path, step: int) -> Validation | None:
    """What `kept` has of one step, without a look at the others."""
    file = folder_of(run) / f"{step}.json"
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror})") from error
    found = _read(file)
    return found if found is not None and found.step == step else None


def _read(file: Path) -> Validation | None:
    try:
        return Validation.model_validate(read_json(file, Validation))
    except UserError as error:
        warnings.warn(f"{error}; it is left out", FileWarning, stacklevel=1)
        return None


def forget(run: Path, step: int) -> None:
    """Remove what was found of steps past this one, which are made again. Raises OSError where it cannot be."""
    for later in [one for one in kept(run) if one > step]:
        (folder_of(run) / f"{later}.json").unlink(missing_ok=True)


def validated(run: Path, checkpoints: Sequence[Checkpoint]) -> dict[int, Validation]:
    """Those of `kept` that are of one of these checkpoints, by its parameters."""
    found = {one.step: (one, kept_at(run, one.step)) for one in checkpoints}
    return {step: its for step, (one, its) in found.items() if its is not None and _digest(one) == its.digest}


def awaits(checkpoint: Checkpoint) -> bool:
    """Whether others are to validate it; of a damaged one that cannot be told."""
    try:
        return AWAITS in checkpoint.meta()
    except UserError:
        return False


def _digest(checkpoint: Checkpoint) -> str | None:
    try:
        return checkpoint.meta().get("digest")
    except UserError:  # a damaged one, which whoever reads it names
        return None


def best(metric: str, validations: Mapping[int, Validation], before: Mapping[str, Any] | None = None) -> Any:
    """{"metric", "value", "step", "epoch"} of the best of these, as the training loop chooses; None without any.

    before: the best so far, of epochs that training has validated itself.
    """
    from jaxlab.training.plan import Progress

    progress = Progress(best=dict(before) if before else None)
    for step in sorted(validations):
        one = validations[step]
        scores = {name: math.nan if value is None else value for name, value in one.scores.items()}
        if metric in scores:
            progress.update(metric, scores, step, one.epoch)
    return progress.best


def best_of(run: Path, checkpoints: Sequence[Checkpoint], meta: Mapping[str, Any]) -> Any:
    """The best of a run's checkpoints, by the meta.json of its last: as training chose it, or by what others found."""
    before = meta["progress"].get("best")
    if AWAITS not in meta:
        return before
    there = {one.step for one in checkpoints}
    earlier = before if before and before["step"] in there else None
    return best(meta[AWAITS], validated(run, checkpoints), earlier)
