"""What `jaxlab runs` shows: the registry's runs with their state now, filtered, sorted, and where they differ."""

import contextlib
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Row

from jaxlab.core.lock import is_alive
from jaxlab.runs.registry.place import Place, folder_of_runs, place_of
from jaxlab.runs.registry.records import Scores, State, trained
from jaxlab.runs.registry.scan import all_scanned, run_directories
from jaxlab.runs.registry.store import Registry, RegistryError
from jaxlab.runs.registry.watch import note_directories
from jaxlab.runs.registry.where import Either, check_names, parsed

_SILENT = 180.0  # seconds without a sign of life, after which a training on another machine is taken for dead


@dataclass(frozen=True)
class RunLine:
    """A run as it is listed. name: as the registry has it. score: of `metric`, at the best checkpoint.

    scores: all of that checkpoint. waiting: snapshots that are yet to be validated. created, heard: seconds since 1970.
    """

    name: str
    study: str | None
    kind: str
    state: State
    step: int
    steps: int
    epoch: int
    metric: str
    best: int | None
    scores: Scores
    waiting: int
    data: str
    host: str
    created: float
    heard: float
    config: Mapping[str, Any]

    @property
    def score(self) -> float | None:
        return self.scores.get(self.metric)

    @property
    def epochs(self) -> float | None:
        """That the whole run has, where its config says so."""
        found = (trained(self.config).get("training") or {}).get("epochs")
        return found if isinstance(found, int | float) else None

    def values(self) -> dict[str, Any]:
        """What `--where` and `--sort` may name: the config's fields, scores, and what the line has."""
        return {**self._fields(), **self._own()}

    def meant(self) -> dict[str, Any]:
        """`values` for `--where`, where a name may mean a part of the config as well: the loss, the data."""
        found, own = self._fields(), self._own()
        either = {
            name: Either(own[name], found[name]) for name in own if isinstance(found.get(name), Mapping)
        }
        return {**found, **own, **either}

    def _fields(self) -> dict[str, Any]:
        return {**fields(trained(self.config)), **fields(self.config)}

    def _own(self) -> dict[str, Any]:
        names = ("name", "kind", "state", "step", "epoch", "best", "waiting", "study", "data", "host")
        return {**self.scores, **{name: getattr(self, name) for name in names}, "run": self.name}


def fields(config: Any, path: str = "") -> dict[str, Any]:
    """{dotted name: value} of a config's JSON, its parts too."""
    found: dict[str, Any] = {path: config} if path else {}
    if isinstance(config, Mapping):
        inside: Iterator[tuple[str, Any]] = (
            (str(name), item) for name, item in config.items() if name != "type"
        )
    elif isinstance(config, list):
        inside = ((str(number), item) for number, item in enumerate(config))
    else:
        return found
    for name, item in inside:
        found |= fields(item, f"{path}.{name}" if path else name)
    return found


def opened(folder: Path | None, rescan: bool, say: Any) -> tuple[Registry, str]:
    """The registry that has the runs in `folder`, and the name that they are below. None: all of a registry at a URL.

    Run directories that it does not know are added; rescan: it is made to say what all of them say. Where there is no
    database to write to, one in memory is made of the run directories. `say` is told of what is amiss.
    Raises UserError where there is no such folder, RegistryError for a file that is no registry.
    """
    if folder is None and (place := place_of(Path())) is not None and place.beside is None and not rescan:
        return Registry(place), ""
    folder = folder or Path("runs")
    outside = folder_of_runs(folder)
    registry = _registry(place_of(outside), outside, say)
    name = registry.place.name(folder)
    name = "" if name == "." else name
    if rescan or registry.place.url == _MEMORY or not registry.names(name):
        lines = note_directories(registry, folder)
    else:
        lines = _note_new(registry, folder)
    for line in lines:
        say(f"warning: {line}")
    return registry, name


_MEMORY = "sqlite://"


def _registry(place: Place | None, outside: Path, say: Any) -> Registry:
    """The database, or one in memory where there is to be none, or where its folder may not be written to."""
    if place is not None:
        try:
            return Registry(place)
        except RegistryError as error:
            if place.beside is None or "not a database" in str(error) or "expected schema" in str(error):
                raise _with_remedy(error, place) from None
            say(f"warning: {error}; the runs are listed from their directories")
    return Registry(Place(_MEMORY, outside))


def _with_remedy(error: RegistryError, place: Place) -> RegistryError:
    if "not a database" not in str(error):
        return error
    return RegistryError(
        f"{error}; remove {place}: it is made anew of the run directories, which have all that it had"
    )


def _note_new(registry: Registry, folder: Path) -> list[str]:
    """Add run directories that nobody has told of, and leave out those that were removed."""
    names, place = set(registry.names()), registry.place
    if place.beside is None or place.name(folder) != ".":
        return []
    found = {place.name(path): path for path in run_directories_at(folder)}
    gone = [name for name in names if name not in found and name.partition("/")[0] not in found]
    if gone:
        registry.forget(gone)
    fresh = [path for name, path in found.items() if name not in names]
    new, amiss = all_scanned(run for path in fresh for run in run_directories(path))
    registry.note(new)
    return amiss


def run_directories_at(folder: Path) -> Iterator[Path]:
    """Those directly in `folder`, without a look into their files."""
    with contextlib.suppress(OSError):
        for path in sorted(folder.iterdir()):
            if (path / "config.json").is_file() or (path / "lock").is_file():
                yield path


def lines_of(registry: Registry, folder: str = "") -> list[RunLine]:
    """All runs below a name, newest first."""
    waiting = registry.waiting()
    return [_line(row, waiting.get(row.id, 0)) for row in registry.runs(folder)]


def _line(row: Row[Any], waiting: int) -> RunLine:
    named = ("study", "kind", "step", "steps", "epoch", "metric", "best", "data", "host", "created", "config")
    return RunLine(
        name=row.path,
        state=_state(row),
        scores=row.scores or {},
        waiting=waiting,
        heard=row.beat,
        **{name: getattr(row, name) for name in named},
    )


def _state(row: Row[Any]) -> State:
    """A training whose process is no more, or on another machine is not heard of any longer, has died."""
    if row.state != "training":
        return row.state
    if row.host == platform.node():
        return "training" if is_alive({"host": row.host, "pid": row.pid}) else "died"
    return "training" if time.time() - row.beat < _SILENT else "died"


def chosen(lines: Sequence[RunLine], where: str | None, sort: str | None) -> list[RunLine]:
    """Those that are meant, sorted. Raises UserError for an expression that is none, or a name that no run has."""
    test, names = parsed(where) if where else (lambda values: True, [])
    valued = [(line, line.meant()) for line in lines]
    known = {name for _, values in valued for name in values}
    if lines:
        check_names(names, known, f"--where {where:.80}" if where else "")
        check_names([sort] if sort else [], known, "--sort")
    found = [(line, values) for line, values in valued if test(values)]
    if sort is not None:
        found.sort(key=lambda one: _worth(one[0].values().get(sort), sort))
    return [line for line, _ in found]


def _worth(value: Any, name: str) -> tuple[int, Any]:
    """The better, the earlier; of what is no score, the larger. Without a value last."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return (2, "") if value is None else (1, str(value))
    from submit.metrics.table import SCORES

    score = SCORES.get(name.rpartition("/")[2])
    return 0, -(float(value) if score is None or score.better is None else score.worth(float(value)))


def nested(lines: Sequence[RunLine]) -> list[tuple[RunLine, int]]:
    """With its depth each run of a study below it, in the order of their names; others as they come."""
    names = {line.name for line in lines}
    below: dict[str | None, list[RunLine]] = {}
    for line in lines:
        below.setdefault(line.study if line.study in names else None, []).append(line)

    def each(study: str | None, depth: int) -> Iterator[tuple[RunLine, int]]:
        inside = below.get(study, [])
        for line in inside if study is None else sorted(inside, key=lambda one: _natural(one.name)):
            yield line, depth
            yield from each(line.name, depth + 1)

    return list(each(None, 0))


def _natural(name: str) -> tuple[str, int, str]:
    """fold2 before fold10."""
    stem = name.rstrip("0123456789")
    return stem, int(name[len(stem) :] or 0), name


def differing(lines: Sequence[RunLine]) -> dict[str, dict[str, Any]]:
    """{run: {field: value}} of the fields of the configs, in which the runs are not all alike."""
    each = {line.name: _leaves(line.config) for line in lines}
    names = dict.fromkeys(name for found in each.values() for name in found)
    unlike = [name for name in names if len({repr(found.get(name, ...)) for found in each.values()}) > 1]
    return {run: {name: found[name] for name in unlike if name in found} for run, found in each.items()}


def _leaves(config: Mapping[str, Any]) -> dict[str, Any]:
    """Fields without fields of their own; of a part its type's name. A study's are those of its experiment."""
    found = fields(trained(config))
    return {
        name: value["type"] if isinstance(value, Mapping) else value
        for name, value in found.items()
        if not (isinstance(value, Mapping) and "type" not in value)
        and not (isinstance(value, list) and value)
    }
