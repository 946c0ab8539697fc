"""What the registry holds of a run and of a checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Status = Literal["pending", "validating", "validated", "best", "deleted"]
State = Literal["training", "finished", "stopped", "failed", "died"]
Scores = Mapping[str, float | None]


@dataclass(frozen=True)
class SnapshotRecord:
    """A checkpoint. status: pending, until somebody has its validation scores; deleted: they are all that is left."""

    step: int
    epoch: int
    status: Status
    digest: str = ""
    scores: Scores = field(default_factory=dict)


@dataclass(frozen=True)
class RunRecord:
    """A run directory. study: the one that it lies in. kind: the type of its config. data: the data's fingerprint.

    steps: of the whole run. metric: the score that chooses the best checkpoint. best: its step, where it is known.
    created, beat: seconds since 1970; when it was last heard of. host, pid: of the process that trains, or did.
    """

    path: Path
    study: Path | None
    kind: str
    config: Mapping[str, Any]
    data: str
    state: State
    step: int = 0
    steps: int = 0
    epoch: int = 0
    metric: str = ""
    best: int | None = None
    created: float = 0.0
    beat: float = 0.0
    host: str = ""
    pid: int = 0
    snapshots: tuple[SnapshotRecord, ...] = ()


def trained(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config of what is trained: of a study, or of one of studies, that of its innermost experiment."""
    inner = config.get("experiment")
    return trained(inner) if isinstance(inner, Mapping) and "type" in inner else config
