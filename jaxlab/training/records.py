"""What run.json and a checkpoint's two JSON files hold, where they do; they may hold more."""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, Field

from jaxlab.core.types import UserError

_Count = Annotated[int, Field(ge=0)]
_Leaf = Annotated[list[Any], Field(min_length=2, max_length=2)]  # shape, dtype


class _Best(BaseModel):
    step: _Count
    metric: str = ""
    value: float | None = None
    epoch: _Count = 0


class _Progress(BaseModel):
    best: _Best | None = None
    stale: _Count = 0
    plateau: _Count = 0
    marks: dict[str, float] = {}


class Meta(BaseModel):
    """meta.json. What somebody asks for and it lacks, is said then: `Record`."""

    step: _Count = 0
    steps: _Count = 0
    epoch: _Count = 0
    progress: _Progress = _Progress()
    digest: str = ""
    leaves: dict[str, dict[str, _Leaf]] = {}


class Manifest(BaseModel):
    """manifest.json: {file: SHA-256}."""

    files: dict[str, str]


class _Data(BaseModel):
    fingerprint: str
    subjects: dict[str, str] = {}


class _Part(BaseModel):
    type: str


class _Task(BaseModel):
    kind: str = ""
    targets: list[str] = []
    objectives: dict[str, list[str]] = {}
    images: _Part = _Part(type="Images")
    normalize: _Part = _Part(type="Normalize")
    image_dtype: str = ""
    masks: _Count = 0
    encoders: list[dict[str, Any]] = []


class _Soup(BaseModel):
    validates: bool = True


class Info(BaseModel):
    """run.json, likewise."""

    task: _Task = _Task()
    data: _Data = _Data(fingerprint="")
    devices: dict[str, Any] = {}
    weights: dict[str, Any] | None = None
    soup: _Soup = _Soup()


class Record(dict[str, Any]):
    """A JSON object that was read from a file. Raises UserError, in place of KeyError, for what it lacks."""

    path: Path | None = None

    @classmethod
    def of(cls, path: Path, data: dict[str, Any]) -> Self:
        """The object in the file at `path`, and those within it."""
        within = {key: cls.of(path, value) for key, value in data.items() if isinstance(value, dict)}
        record = cls({**data, **within})
        record.path = path
        return record

    def __missing__(self, key: str) -> Any:
        raise UserError(f"{self.path}: expected {key}, found {', '.join(self) or 'nothing'}")
